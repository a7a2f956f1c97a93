package lsipc

import (
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/utillinux/smartcols"
)

// A column is a column of lsipc. The order is that of -i and -N.
type column int

const (
	colKey column = iota
	colID
	colOwner
	colPerms
	colCUID
	colCUser
	colCGID
	colCGroup
	colUID
	colUser
	colGID
	colGroup
	colCTime

	colName
	colMTime

	colUsedBytes
	colMsgs
	colSend
	colRecv
	colLSPID
	colLRPID

	colSize
	colNAttch
	colStatus
	colAttach
	colDetach
	colCommand
	colCPID
	colLPID

	colNSems
	colOTime

	colResource
	colDescription
	colLimit
	colUsed
	colUsePercent

	colValue

	columnCount
)

// A columnRange is the columns of one kind of object, first to last.
type columnRange struct{ first, last column }

func commonColumns() columnRange  { return columnRange{colKey, colCTime} }
func queueColumns() columnRange   { return columnRange{colUsedBytes, colLRPID} }
func segmentColumns() columnRange { return columnRange{colSize, colLPID} }
func setColumns() columnRange     { return columnRange{colNSems, colOTime} }
func summaryColumns() columnRange { return columnRange{colResource, colUsePercent} }

// The columns of POSIX objects. Of the common columns they have only the ownership.
func posixColumns() columnRange     { return columnRange{colName, colMTime} }
func ownershipColumns() columnRange { return columnRange{colOwner, colCGroup} }
func objectColumns() columnRange    { return columnRange{colSize, colSize} }
func mqueueColumns() columnRange    { return columnRange{colUsedBytes, colMsgs} }
func semaphoreColumns() columnRange { return columnRange{colValue, colValue} }

func (r columnRange) contains(c column) bool { return r.first <= c && c <= r.last }

// A heading describes a column.
type heading struct {
	name   string
	label  string // shown by -i
	help   string
	format smartcols.Column // without the name
}

// table returns the column for package smartcols.
func (c column) table(noTruncate bool) smartcols.Column {
	format := headings[c].format
	format.Name = headings[c].name
	format.Truncate = format.Truncate && !noTruncate
	return format
}

// The compiler lays headings out, so they cost nothing at start.
var headings = [columnCount]heading{
	colKey:    {name: "KEY", label: "Key", help: "key"},
	colID:     {name: "ID", label: "ID", help: "identifier"},
	colOwner:  {name: "OWNER", label: "Owner", help: "name of the owner, or number", format: smartcols.Column{Right: true}},
	colPerms:  {name: "PERMS", label: "Permissions", help: "permissions", format: smartcols.Column{Right: true}},
	colCUID:   {name: "CUID", label: "Creator UID", help: "user id of the creator", format: smartcols.Column{Right: true}},
	colCUser:  {name: "CUSER", label: "Creator user", help: "user name of the creator"},
	colCGID:   {name: "CGID", label: "Creator GID", help: "group id of the creator", format: smartcols.Column{Right: true}},
	colCGroup: {name: "CGROUP", label: "Creator group", help: "group name of the creator"},
	colUID:    {name: "UID", label: "UID", help: "user id of the owner", format: smartcols.Column{Right: true}},
	colUser:   {name: "USER", label: "User name", help: "user name of the owner"},
	colGID:    {name: "GID", label: "GID", help: "group id of the owner", format: smartcols.Column{Right: true}},
	colGroup:  {name: "GROUP", label: "Group name", help: "group name of the owner"},
	colCTime:  {name: "CTIME", label: "Last change", help: "when it was made or last changed", format: smartcols.Column{Right: true}},

	colName:  {name: "NAME", label: "Name", help: "name of the POSIX object"},
	colMTime: {name: "MTIME", label: "Last action", help: "when it was last written or made", format: smartcols.Column{Right: true}},

	colUsedBytes: {name: "USEDBYTES", label: "Bytes used", help: "bytes in the queue", format: smartcols.Column{Right: true}},
	colMsgs:      {name: "MSGS", label: "Messages", help: "messages in the queue"},
	colSend:      {name: "SEND", label: "Msg sent", help: "when a message was last sent", format: smartcols.Column{Right: true}},
	colRecv:      {name: "RECV", label: "Msg received", help: "when a message was last received", format: smartcols.Column{Right: true}},
	colLSPID:     {name: "LSPID", label: "Msg sender", help: "process that sent last", format: smartcols.Column{Right: true}},
	colLRPID:     {name: "LRPID", label: "Msg receiver", help: "process that received last", format: smartcols.Column{Right: true}},

	colSize:    {name: "SIZE", label: "Segment size", help: "size", format: smartcols.Column{Right: true}},
	colNAttch:  {name: "NATTCH", label: "Attached processes", help: "how often it is attached", format: smartcols.Column{Right: true}},
	colStatus:  {name: "STATUS", label: "Status", help: "dest and locked", format: smartcols.Column{NoExtremes: true}},
	colAttach:  {name: "ATTACH", label: "Attach time", help: "when it was last attached", format: smartcols.Column{Right: true}},
	colDetach:  {name: "DETACH", label: "Detach time", help: "when it was last detached", format: smartcols.Column{Right: true}},
	colCommand: {name: "COMMAND", label: "Creator command", help: "command line of the creator", format: smartcols.Column{Truncate: true}},
	colCPID:    {name: "CPID", label: "Creator PID", help: "process that made it", format: smartcols.Column{Right: true}},
	colLPID:    {name: "LPID", label: "Last user PID", help: "process that attached or detached last", format: smartcols.Column{Right: true}},

	colNSems: {name: "NSEMS", label: "Semaphores", help: "semaphores in the set", format: smartcols.Column{Right: true}},
	colOTime: {name: "OTIME", label: "Last operation", help: "when it was last operated on", format: smartcols.Column{Right: true}},

	colResource:    {name: "RESOURCE", label: "Resource", help: "name of the limit"},
	colDescription: {name: "DESCRIPTION", label: "Description", help: "what it limits"},
	colLimit:       {name: "LIMIT", label: "Limit", help: "the limit", format: smartcols.Column{Right: true}},
	colUsed:        {name: "USED", label: "Used", help: "how much is in use", format: smartcols.Column{Right: true}},
	colUsePercent:  {name: "USE%", label: "Use", help: "how much of the limit that is", format: smartcols.Column{Right: true}},

	colValue: {name: "SVAL", label: "Value", help: "value of the semaphore", format: smartcols.Column{Right: true}},
}

// columnByName finds a column by name, ignoring case.
func columnByName(name string) (column, bool) {
	for c := range columnCount {
		if strings.EqualFold(headings[c].name, name) {
			return c, true
		}
	}
	return 0, false
}
