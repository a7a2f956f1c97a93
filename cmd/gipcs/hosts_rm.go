//go:build linux

package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/hosts"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
)

func partialFlag() cli.Flag {
	return &cli.BoolFlag{Name: "partial", Category: otherHosts, Usage: "remove even if some hosts do not answer", DisableDefaultText: true}
}

// errPartial is the error for partialFlag without other hosts.
func errPartial() error {
	return command.Usagef("--partial has a meaning only with --host or --hosts")
}

// A hostRemoval is gipcs rm on other hosts. First every host lists what it would remove.
// Then each removes what it has listed, if that is still selected and is unchanged.
type hostRemoval struct {
	*fleet
	format   render.Format
	operands []string
	asked    fields.List       // the columns that each host prints
	more     []string          // columns of asked that the conditions mention
	plans    map[string][]byte // what each host has listed
}

func rmOnHosts(f *fleet) error {
	r, err := readHostRemoval(f)
	if err != nil {
		return err
	}
	rows, err := r.prepare()
	if err != nil {
		return err
	}
	if err := r.list(rows); err != nil {
		return err
	}
	planned := r.report(command.Failed)
	switch {
	case r.Bool("dry-run"):
		return planned
	case r.interrupted() != nil:
		return planned
	case planned != nil && !r.Bool("partial"):
		return errors.New("nothing was removed, since not every host answered completely; --partial removes what is listed")
	case len(rows) == 0:
		return planned
	case !r.Bool("yes") && !r.confirmed(len(rows)):
		return cmp.Or(r.interrupted(), errors.New("nothing was removed"))
	}
	if err := r.act(len(rows)); err != nil {
		return err
	}
	return planned
}

// confirmed asks whether to remove n objects. A signal means no.
func (r *hostRemoval) confirmed(n int) bool {
	answer := make(chan bool, 1)
	go func() {
		answer <- confirmed(r.Context, fmt.Sprintf("%s on %s", objects(n), counted(len(r.plans), "host", "hosts")))
	}()
	select {
	case yes := <-answer:
		return yes
	case <-r.ctx.Done():
		fmt.Fprintln(r.App.ErrWriter)
		return false
	}
}

func readHostRemoval(f *fleet) (*hostRemoval, error) {
	r := &hostRemoval{fleet: f, plans: make(map[string][]byte)}
	var err error
	if r.format, err = command.FormatOf(f.Context); err != nil {
		return nil, err
	}
	selected, err := selectionOf(f.Context)
	if err != nil {
		return nil, err
	}
	if r.operands, err = command.Operands(f.Context, 0, -1, "KIND:REF"); err != nil {
		return nil, err
	}
	named := len(r.operands) > 0 || slices.ContainsFunc(nameFlags(), func(n nameFlag) bool { return f.IsSet(n.flag) })
	if err := checkChoice(selected != nil, named); err != nil {
		return nil, err
	}
	if err := checkAsking(f.Context); err != nil {
		return nil, err
	}
	if f.IsSet("plan") {
		return nil, command.Usagef("--plan is for one host; with --host every host makes a plan first")
	}
	r.asked = fields.Default(ref.Kinds(), true)
	if r.more = selected.Columns(); len(r.more) > 0 {
		r.asked, err = fields.Choose("+"+strings.Join(r.more, ","), r.asked)
	}
	return r, err
}

// prepare asks every host what it would remove.
func (r *hostRemoval) prepare() (rows []hostRow, err error) {
	args := slices.Concat(r.passedOn("dry-run", "yes", "verbose", "log", "backup", "partial"), []string{"--dry-run", "--"}, r.operands)
	for answer := range r.ask(r.hosts, args, r.accept, nil) {
		for line := range answer.Lines() {
			rows = append(rows, hostRow{host: answer.Host, line: line})
		}
		if len(answer.Text) > 0 {
			r.plans[answer.Host] = answer.Text
		}
	}
	return rows, errors.Join(r.interrupted(), r.rejected())
}

// accept checks a line of a plan.
func (r *hostRemoval) accept(line []byte) error {
	printed, err := r.asked.Read(line)
	if err == nil {
		_, err = r.asked.Ref(printed)
	}
	return err
}

// list shows what the hosts would remove.
func (r *hostRemoval) list(rows []hostRow) error {
	machine := forMachines(r.format)
	if len(rows) == 0 && !machine {
		if command.IsTerminal(r.App.ErrWriter) {
			fmt.Fprintf(r.App.ErrWriter, "%s: there is nothing to remove\n", r.App.Name)
		}
		return nil
	}
	list := r.asked
	if !machine {
		list = fields.Default(kindsPrinted(rows), false)
		if len(r.more) > 0 {
			var err error
			if list, err = fields.Choose("+"+strings.Join(r.more, ","), list); err != nil {
				return err
			}
		}
	}
	columns := append([]render.Column{hostColumn()}, fields.Narrow(list.Columns())...)
	cells := func(yield func([]render.Cell) bool) {
		cells := make([]render.Cell, len(columns))
		for _, row := range rows {
			cells[0] = render.Text(row.host)
			printed, _ := list.Read(row.line) // ask has checked the line
			if printed.Fill(cells[1:]); !yield(cells) {
				return
			}
		}
	}
	return command.WriteRows(r.Context, r.format, columns, cells, render.Options{})
}

// act makes the hosts remove what they have listed, and reports what they did.
func (r *hostRemoval) act(all int) error {
	var on []string
	for _, host := range r.hosts {
		if r.plans[host] != nil {
			on = append(on, host)
		}
	}
	again := &fleet{Context: r.Context, ctx: r.ctx, hosts: on, runner: r.runner, remote: r.remote}
	args := slices.Concat(r.passedOn("yes", "verbose", "partial"), []string{"--yes", "--verbose", "--plan=-", "--"}, r.operands)
	input := func(host string) io.Reader {
		return bytes.NewReader(r.plans[host])
	}
	for range again.ask(on, args, r.accept, input) { // ask keeps the answers to report
	}
	removed := 0
	for _, answers := range [][]hosts.Answer{again.spoke, again.failed} {
		for i := range answers {
			n, err := r.account(&answers[i])
			if err != nil {
				return err
			}
			removed += n
		}
	}
	err := again.report(command.Failed)
	if removed < all {
		fmt.Fprintf(r.App.ErrWriter, "%s: removed %d of %s\n", r.App.Name, removed, counted(all, "object", "objects"))
	}
	return err
}

// account takes the removals out of the messages of a host, and returns their number.
func (r *hostRemoval) account(answer *hosts.Answer) (removed int, err error) {
	to := r.App.Writer
	if forMachines(r.format) {
		to = r.App.ErrWriter
	}
	var rest []string
	for _, message := range answer.Messages {
		object, ok := strings.CutPrefix(message, "removed ")
		if !ok {
			rest = append(rest, message)
			continue
		}
		removed++
		if r.Bool("verbose") {
			if _, err := fmt.Fprintf(to, "%s: removed %s\n", answer.Host, command.OneLine(object)); err != nil {
				return removed, err
			}
		}
	}
	answer.Messages = rest
	if planned := bytes.Count(r.plans[answer.Host], []byte{'\n'}); answer.Err != nil {
		answer.Err = fmt.Errorf("%w; it reported %d of %s", answer.Err, removed, counted(planned, "removal", "removals"))
	}
	return removed, nil
}
