package lsipc

import (
	"slices"
	"strings"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/getopt"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/clock"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/smartcols"
)

// A request is a parsed command line.
type request struct {
	queues, segments, sets       bool
	mqueues, objects, semaphores bool // POSIX kinds

	global bool
	one    bool // only the System V object with identifier id
	id     int
	named  bool // only the POSIX object with the name
	name   string

	columns      []column
	own          []columnRange // the columns that apply besides the common ones
	style        smartcols.Style
	styled       bool // an output format was chosen
	pretty       bool // one line per field
	bytes        bool
	numericPerms bool
	noTruncate   bool
	creator      bool
	times        bool
	timeFormat   clock.Format
	timeSet      bool
	list         string // argument of -o
	listSet      bool
}

func options() []getopt.Option {
	return []getopt.Option{
		{Names: []string{"b", "bytes"}},
		{Names: []string{"c", "creator"}},
		{Names: []string{"e", "export"}},
		{Names: []string{"g", "global"}},
		{Names: []string{"h", "help"}},
		{Names: []string{"i", "id"}, Arg: getopt.RequiredArgument},
		{Names: []string{"J", "json"}},
		{Names: []string{"l", "list"}},
		{Names: []string{"N", "name"}, Arg: getopt.RequiredArgument},
		{Names: []string{"n", "newline"}},
		{Names: []string{"noheadings"}},
		{Names: []string{"notruncate"}},
		{Names: []string{"P", "numeric-perms"}},
		{Names: []string{"o", "output"}, Arg: getopt.RequiredArgument},
		{Names: []string{"Q", "posix-mqueues"}},
		{Names: []string{"S", "posix-semaphores"}},
		{Names: []string{"M", "posix-shmems"}},
		{Names: []string{"q", "queues"}},
		{Names: []string{"r", "raw"}},
		{Names: []string{"s", "semaphores"}},
		{Names: []string{"m", "shmems"}},
		{Names: []string{"t", "time"}},
		{Names: []string{"time-format"}, Arg: getopt.RequiredArgument},
		{Names: []string{"V", "version"}},
		{Names: []string{"y", "shell"}},
	}
}

// read parses the command line. If done is true the program ends with status.
func read(p *program.Program, args []string) (r request, status int, done bool) {
	parsed, wrong := p.Options(options(), args)
	var exclusive exclusion
	for _, m := range parsed.Matches {
		if message := exclusive.check(m.Name); message != "" {
			return r, p.Fail(message), true
		}
		switch m.Name {
		case "h":
			return r, printHelp(p), true
		case "V":
			return r, p.PrintVersion(), true
		case "i":
			id, err := program.ParseID(m.Value)
			if err == nil && id < 0 { // no object has such an id
				err = syscall.ERANGE
			}
			if err != nil {
				return r, p.FailNumber("failed to parse IPC identifier", m.Value, err), true
			}
			r.id, r.one = id, true
		case "N":
			r.name, r.named = m.Value, true
		case "time-format":
			if !r.setTimeFormat(m.Value) {
				return r, p.Fail("unknown time format: " + m.Value), true
			}
		case "o":
			r.list, r.listSet = m.Value, true
		default:
			r.option(m.Name)
		}
	}
	if wrong != nil {
		return r, p.BadOption(wrong), true
	}
	if message := r.complete(); message != "" {
		return r, p.Fail(message), true
	}
	return r, 0, false
}

func (r *request) option(name string) {
	switch name {
	case "b":
		r.bytes = true
	case "c":
		r.creator = true
	case "t":
		r.times = true
	case "g":
		r.global = true
	case "P":
		r.numericPerms = true
	case "noheadings":
		r.style.NoHeadings = true
	case "notruncate":
		r.noTruncate = true
	case "y":
		r.style.ShellNames = true
	case "e", "J", "l", "n", "r":
		r.setStyle(name)
	case "q", "m", "s":
		r.setKind(name)
	case "Q", "M", "S":
		r.setPOSIXKind(name)
	}
}

func (r *request) setStyle(name string) {
	r.styled = true
	switch name {
	case "e":
		r.style.Format = smartcols.Export
	case "n":
		r.style.Format, r.style.Lines = smartcols.Export, true
	case "J":
		r.style.Format = smartcols.JSON
	case "r":
		r.style.Format = smartcols.Raw
	}
}

func (r *request) setKind(name string) {
	r.add(colKey, colID, colPerms, colOwner)
	switch name {
	case "q":
		r.queues, r.own = true, []columnRange{queueColumns()}
		r.add(colUsedBytes, colMsgs, colLSPID, colLRPID)
	case "m":
		r.segments, r.own = true, []columnRange{segmentColumns()}
		r.add(colSize, colNAttch, colStatus, colCTime, colCPID, colLPID, colCommand)
	case "s":
		r.sets, r.own = true, []columnRange{setColumns()}
		r.add(colNSems)
	}
}

func (r *request) setPOSIXKind(name string) {
	r.add(colName, colPerms, colOwner)
	switch name {
	case "Q":
		r.mqueues, r.own = true, []columnRange{posixColumns(), mqueueColumns()}
		r.add(colMTime, colUsedBytes, colMsgs)
	case "M":
		r.objects, r.own = true, []columnRange{posixColumns(), objectColumns()}
		r.add(colSize, colMTime)
	case "S":
		r.semaphores, r.own = true, []columnRange{posixColumns(), semaphoreColumns()}
		r.add(colMTime, colValue)
	}
}

func (r *request) add(columns ...column) { r.columns = append(r.columns, columns...) }

func (r *request) setTimeFormat(s string) bool {
	switch s {
	case "short":
		r.timeFormat = clock.Short
	case "full":
		r.timeFormat = clock.Ctime
	case "iso":
		r.timeFormat = clock.ISO
	default:
		return false
	}
	r.timeSet = true
	return true
}

// complete derives what depends on the whole command line. It returns a message if
// something is wrong.
func (r *request) complete() (wrong string) {
	systemV, posix := r.queues || r.segments || r.sets, r.mqueues || r.objects || r.semaphores
	switch {
	case systemV && r.named:
		return "--name is mutually exclusive with --shmems, --queues and --semaphores"
	case posix && r.one:
		return "--id is mutually exclusive with --posix-shmems, --posix-mqueues and --posix-semaphores"
	case systemV || posix:
	case r.named:
		return "--global is mutually exclusive with --creator, --id, --name and --time"
	case r.times || r.creator || r.one:
		return "--global is mutually exclusive with --creator, --id and --time"
	default:
		r.queues, r.segments, r.sets, r.global = true, true, true, true
	}
	if r.global {
		r.add(colResource, colDescription, colLimit, colUsed, colUsePercent)
		r.own = []columnRange{summaryColumns()}
	}
	r.pretty = (r.one || r.named) && !r.styled
	if !r.timeSet {
		r.timeFormat = clock.Short
		if r.pretty {
			r.timeFormat = clock.Ctime
		}
	}
	if r.pretty && !r.creator && !r.times {
		r.columns = nil
		for c := range columnCount {
			r.add(c)
		}
	} else {
		r.addViews(posix)
	}
	if r.listSet {
		return r.addList()
	}
	return ""
}

// addViews adds the columns of -c and -t.
func (r *request) addViews(posix bool) {
	switch {
	case r.creator && posix: // POSIX objects record only the owner
		r.add(colCUID, colCGID)
	case r.creator:
		r.add(colCUID, colCGID, colUID, colGID)
	}
	if !r.times {
		return
	}
	if r.queues {
		r.add(colSend, colRecv, colCTime)
	}
	if r.segments {
		last := len(r.columns) - 1
		if r.columns[last] == colCommand { // COMMAND stays last
			r.columns = slices.Insert(r.columns, last, colAttach, colDetach)
		} else {
			r.add(colAttach, colDetach)
		}
	}
	if r.sets {
		r.add(colOTime, colCTime)
	}
}

// addList sets the columns of -o, or adds them if the list begins with a plus sign.
func (r *request) addList() (wrong string) {
	list, more := strings.CutPrefix(r.list, "+")
	if !more {
		r.columns = nil
	}
	for {
		name, rest, found := strings.Cut(list, ",")
		if rest == "" { // a trailing comma counts as part of the name
			name = list
		}
		c, ok := columnByName(name)
		switch {
		case !ok:
			return "unknown column: " + list
		case !commonColumns().contains(c) && !slices.ContainsFunc(r.own, func(own columnRange) bool { return own.contains(c) }):
			return "column " + list + " does not apply to the specified IPC"
		}
		r.add(c)
		if !found {
			return ""
		}
		list = rest
	}
}

// exclusion detects mutually exclusive options.
type exclusion [6]string

// groups returns groups of mutually exclusive options with their messages. A group with
// only options of 2.38 comes before the group that adds options of 2.41.
func (*exclusion) groups() [6]struct{ names, message string } {
	return [6]struct{ names, message string }{
		{"Jelnr", "--json --export --list --newline --raw"},
		{"gi", "--global --id"},
		{"Ngi", "--name --global --id"},
		{"ot", "--creator --output --time"}, // -c goes with both
		{"mqs", "--shmems --queues --semaphores"},
		{"MQSmqs", "--posix-shmems --posix-mqueues --posix-semaphores --shmems --queues --semaphores"},
	}
}

// check records an option and returns a message if it conflicts with an earlier one.
func (e *exclusion) check(name string) (wrong string) {
	if len(name) > 1 {
		return ""
	}
	for i, group := range e.groups() {
		if !strings.Contains(group.names, name) {
			continue
		}
		if e[i] != "" && e[i] != name {
			return "mutually exclusive arguments: " + group.message
		}
		e[i] = name
	}
	return ""
}
