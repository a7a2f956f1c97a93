//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/hosts"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// otherHosts is the category of hostFlags in the help.
const otherHosts = "OTHER HOSTS"

// hostFlags are the flags of commands that can work on other hosts.
func hostFlags() []cli.Flag {
	const category = otherHosts
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "host", Category: category, Usage: "work on the hosts `LIST`: [USER@]HOST,..."},
		&cli.StringSliceFlag{Name: "hosts", Category: category, Usage: "work on the hosts in `FILE`, one a line; - is stdin"},
		&cli.StringFlag{Name: "timeout", Category: category, Value: "10s", Usage: "give up on a host after `DURATION`"},
		&cli.StringFlag{Name: "parallel", Category: category, Value: "32", Usage: "ask `N` hosts at a time"},
		&cli.StringFlag{Name: "ssh", Category: category, Value: "ssh", Usage: "connect with `COMMAND`"},
		&cli.StringFlag{Name: "remote-gipcs", Category: category, Value: "gipcs", Usage: "run `COMMAND` there"},
	}
}

// notPassedOn returns the flags that are not passed on to other hosts: hostFlags and the
// flags for the output.
func notPassedOn() []string {
	names := []string{"format", "json", "no-headings", "human"}
	for _, f := range hostFlags() {
		names = append(names, f.Names()[0])
	}
	return names
}

// onHosts makes an action work on the hosts that the flags name, or here if they name none.
func onHosts(there func(*fleet) error, here cli.ActionFunc) cli.ActionFunc {
	return func(c *cli.Context) error {
		f, err := fleetOf(c)
		switch {
		case err != nil:
			return err
		case f == nil:
			return here(c)
		}
		ctx, stop := command.Interruptible(c.Context)
		defer stop()
		f.ctx = ctx
		return there(f)
	}
}

// namesHosts reports whether the command works on other hosts.
func namesHosts(c *cli.Context) bool { return c.IsSet("host") || c.IsSet("hosts") }

// A fleet holds the hosts on which a command works, and their answers.
type fleet struct {
	*cli.Context
	ctx    context.Context
	hosts  []string
	runner hosts.Runner
	remote []string // the remote program
	failed []hosts.Answer
	spoke  []hosts.Answer // with messages or a status
}

// fleetOf returns nil if the flags name no hosts.
func fleetOf(c *cli.Context) (*fleet, error) {
	if !namesHosts(c) {
		for _, f := range hostFlags() {
			if name := f.Names()[0]; c.IsSet(name) {
				return nil, command.Usagef("--%s has a meaning only with --host or --hosts", name)
			}
		}
		return nil, nil
	}
	f := &fleet{Context: c}
	var err error
	if f.hosts, err = hostsOf(c); err != nil {
		return nil, err
	}
	if f.runner.SSH, err = hosts.Split(c.String("ssh")); err != nil {
		return nil, command.Usagef("--ssh: %w", err)
	}
	if f.remote, err = hosts.Split(c.String("remote-gipcs")); err != nil {
		return nil, command.Usagef("--remote-gipcs: %w", err)
	}
	if f.runner.Timeout, err = units.ParseDuration(c.String("timeout")); err != nil {
		return nil, command.Usagef("--timeout: %w", err)
	}
	if f.runner.Timeout == 0 {
		return nil, command.Usagef("--timeout: in no time no host can answer; the default is 10s")
	}
	n, err := units.ParseUint("number of hosts", c.String("parallel"), math.MaxInt32)
	if err == nil && n == 0 {
		err = errors.New("at least 1 host at a time")
	}
	if err != nil {
		return nil, command.Usagef("--parallel: %w", err)
	}
	f.runner.Parallel = int(n)
	return f, nil
}

// hostsOf returns the hosts that --host and --hosts name, each once.
func hostsOf(c *cli.Context) (list []string, err error) {
	for _, text := range c.StringSlice("host") {
		for host := range strings.SplitSeq(text, ",") {
			if err := hosts.Check(host); err != nil {
				return nil, command.Usagef("--host: %w", err)
			}
			list = append(list, host)
		}
	}
	for _, name := range c.StringSlice("hosts") {
		more, err := readHosts(name)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return hosts.Unique(list), nil
}

func readHosts(name string) (list []string, err error) {
	file := os.Stdin
	if name != "-" {
		if file, err = os.Open(name); err != nil {
			return nil, err
		}
		defer file.Close()
	}
	if list, err = hosts.ReadList(file); err != nil {
		return nil, fmt.Errorf("--hosts %s: %w", name, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("--hosts %s: it names no host", name)
	}
	return list, nil
}

// passedOn returns the flags of the command line that are passed on to other hosts, without
// the flags in except.
func (f *fleet) passedOn(except ...string) (args []string) {
	except = append(except, notPassedOn()...)
	for _, flag := range f.Command.Flags {
		name := flag.Names()[0]
		if !f.IsSet(name) || slices.Contains(except, name) {
			continue
		}
		switch flag.(type) {
		case *cli.BoolFlag:
			args = append(args, "--"+name)
		case *cli.StringSliceFlag:
			for _, value := range f.StringSlice(name) {
				args = append(args, "--"+name+"="+value)
			}
		default:
			args = append(args, "--"+name+"="+f.String(name))
		}
	}
	return args
}

// ask runs the command with these arguments on hosts and yields the complete answers, in
// the order of the hosts. It keeps the failures and messages for report.
func (f *fleet) ask(on []string, args []string, accept func(line []byte) error, input func(host string) io.Reader) iter.Seq[hosts.Answer] {
	return func(yield func(hosts.Answer) bool) {
		runner := f.runner
		runner.Command = slices.Concat(f.remote, []string{f.Command.Name, "--format=ndjson"}, args)
		runner.Input = input
		runner.Accept = func(line []byte) error {
			if err := accept(line); err != nil {
				return fmt.Errorf("its answer is not one of gipcs: %w: %s", err, excerpt(line))
			}
			return nil
		}
		for answer := range runner.Run(f.ctx, on) {
			if answer.Err != nil {
				f.failed = append(f.failed, answer)
				continue
			}
			if answer.Status != command.Done || len(answer.Messages) > 0 {
				f.spoke = append(f.spoke, answer)
			}
			if !yield(answer) {
				return
			}
		}
	}
}

// answers runs the command and returns the rows of all hosts, which have these columns.
// Each row begins with its host.
func (f *fleet) answers(columns []render.Column) (rows [][]render.Cell, err error) {
	read := func(line []byte) ([]render.Cell, error) {
		names, cells, err := render.ReadJSON(line)
		if err == nil && !slices.EqualFunc(names, columns, func(a, b render.Column) bool { return a.Name == b.Name }) {
			err = errors.New("it has other fields; its gipcs may have another version")
		}
		return cells, err
	}
	for answer := range f.ask(f.hosts, f.passedOn(), func(line []byte) error { _, err := read(line); return err }, nil) {
		for line := range answer.Lines() {
			cells, _ := read(line) // ask has checked the line
			rows = append(rows, slices.Concat([]render.Cell{render.Text(answer.Host)}, cells))
		}
	}
	return rows, errors.Join(f.interrupted(), f.rejected())
}

// underHost puts the column of the host first.
func underHost(columns []render.Column) []render.Column {
	return slices.Concat([]render.Column{hostColumn()}, columns)
}

// excerpt returns the beginning of a line.
func excerpt(line []byte) string {
	const most = 60
	if len(line) > most {
		return fmt.Sprintf("%q...", line[:most])
	}
	return fmt.Sprintf("%q", line)
}

// rejected returns an error of the command line if all hosts reject it with the same
// message.
func (f *fleet) rejected() error {
	message := ""
	for i, answer := range f.failed {
		var rejected *hosts.Rejected
		if !errors.As(answer.Err, &rejected) || i > 0 && rejected.Message != message {
			return nil
		}
		message = rejected.Message
	}
	if len(f.failed) < len(f.hosts) {
		return nil
	}
	return command.Usagef("%s", strings.TrimPrefix(message, f.Command.Name+": "))
}

// report names the hosts that did not answer, with the reason, and passes on the messages
// of the others. It returns the highest exit status of all hosts; a host that did not
// answer counts as missing.
func (f *fleet) report(missing int) error {
	if err := f.interrupted(); err != nil {
		return err
	}
	status := command.Done
	for _, answer := range f.spoke {
		f.relay(answer.Host, answer.Messages)
		status = max(status, answer.Status)
	}
	for _, answer := range f.failed {
		f.say(answer.Host, answer.Err.Error())
		status = max(status, missing)
	}
	if n := len(f.failed); n > 0 {
		fmt.Fprintf(f.App.ErrWriter, "%s: %d of %d hosts did not answer\n", f.App.Name, n, len(f.hosts))
	}
	return exitWith(status)
}

// interrupted returns an error if a signal has ended the work.
func (f *fleet) interrupted() error {
	if f.ctx.Err() == nil {
		return nil
	}
	return errors.New("interrupted")
}

// relay passes on messages of a host, each once and not too many.
func (f *fleet) relay(host string, messages []string) {
	const most = 20
	told := make(map[string]bool)
	for _, message := range messages {
		switch {
		case told[message]:
			continue
		case len(told) == most:
			f.say(host, fmt.Sprintf("and more: %d lines in all", len(messages)))
			return
		}
		told[message] = true
		f.say(host, strings.TrimPrefix(message, "gipcs: "))
	}
}

func (f *fleet) say(host, message string) {
	fmt.Fprintf(f.App.ErrWriter, "%s: %s: %s\n", f.App.Name, host, command.OneLine(message))
}

// hostColumn is the first column of every listing of several hosts.
func hostColumn() render.Column { return render.Column{Name: "host", Heading: "HOST"} }
