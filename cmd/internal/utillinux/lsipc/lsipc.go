// Package lsipc is lsipc(1): its output equals that of util-linux 2.38.1 byte for byte,
// except for the differences in docs/compat.md. For POSIX objects, which 2.38 does not
// know, it equals the output of 2.42.
package lsipc

import (
	"os"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/term"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/clock"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/smartcols"
)

// A lister carries out a request.
type lister struct {
	*program.Program
	request
	accounts *account.Directory
	commands commands
	clocks   map[column]*clock.Clock
}

// Main runs lsipc.
func Main(args []string, env program.Env) int {
	p := program.Start(env)
	return p.Exit(run(p, args))
}

func run(p *program.Program, args []string) int {
	r, status, done := read(p, args)
	if done {
		return status
	}
	l := &lister{Program: p, request: r, accounts: account.New(), clocks: make(map[column]*clock.Clock)}
	switch {
	case r.global:
		return l.global()
	case r.segments:
		return l.listSegments()
	case r.queues:
		return l.listQueues()
	case r.objects:
		return l.listObjects()
	case r.mqueues:
		return l.listMqueues()
	case r.semaphores:
		return l.listSemaphores()
	default:
		return l.listSets()
	}
}

// newTable returns an empty table with the requested columns.
func (l *lister) newTable(name string) *smartcols.Table {
	columns := make([]smartcols.Column, len(l.columns))
	for i, c := range l.columns {
		columns[i] = c.table(l.noTruncate)
	}
	style := l.style
	style.Name = name
	style.UTF8 = l.IsUTF8()
	if style.Format == smartcols.Human {
		style.Terminal = l.terminal()
	}
	return smartcols.New(style, columns)
}

// terminal returns the width of the terminal that output goes to, 0 if there is none.
func (l *lister) terminal() int {
	file, ok := l.Stdout.(*os.File)
	if !ok || !term.IsTerminal(file.Fd()) {
		return 0
	}
	if width := term.Width(file.Fd()); width > 0 {
		return width
	}
	const standard = 80
	value, _ := l.LookupEnv("COLUMNS")
	if width, err := program.ParseID(value); err == nil && width > 0 {
		return width
	}
	return standard
}

// finish prints a table.
func (l *lister) finish(t *smartcols.Table) int {
	_ = t.Print(l.Out) // Exit reports the error
	return program.Success
}
