//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/extra/fleet"
	"github.com/sysvipc/gipc/cmd/extra/internal/natsauth"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/units"
)

// A session is one command: the hosts that it asks, and what became of them.
type session struct {
	*cli.Context
	ctx   context.Context
	asker fleet.Asker
	roll  roll
	hosts []string

	failed   []fleet.Answer
	spoke    []fleet.Answer         // with messages
	versions map[string]*difference // by the version of the agent
	status   int
}

// A difference is what agents of another version make different.
type difference struct {
	hosts   []string
	lacking []string // columns that they do not know
}

// withHosts makes an action of one that asks hosts. read reads the command line, before the
// session connects, and returns what to do then.
func withHosts(read func(*session) (action func() error, err error)) cli.ActionFunc {
	return func(c *cli.Context) error {
		s, err := readSession(c)
		if err != nil {
			return err
		}
		action, err := read(s)
		if err != nil {
			return err
		}
		return s.run(action)
	}
}

// readSession reads the flags that say which hosts to ask, and how.
func readSession(c *cli.Context) (*session, error) {
	s := &session{Context: c, versions: make(map[string]*difference)}
	if c.IsSet("nats") {
		if err := natsauth.CheckServers(c.String("nats")); err != nil {
			return nil, command.Usagef("--nats: %w", err)
		}
	}
	var err error
	if s.asker.Timeout, err = positive(c, "timeout"); err != nil {
		return nil, err
	}
	n, err := units.ParseUint("number of hosts", c.String("parallel"), math.MaxInt16)
	if err == nil && n == 0 {
		err = errors.New("at least 1 host at a time")
	}
	if err != nil {
		return nil, command.Usagef("--parallel: %w", err)
	}
	s.asker.Parallel = int(n)
	s.roll, err = readRoll(c)
	return s, err
}

// positive returns the value of a flag that holds a time longer than none.
func positive(c *cli.Context, name string) (time.Duration, error) {
	d, err := units.ParseDuration(c.String(name))
	if err == nil && d == 0 {
		err = errors.New("no host answers in no time")
	}
	if err != nil {
		return 0, command.Usagef("--%s: %w", name, err)
	}
	return d, nil
}

// run connects, finds out which hosts there are, and calls action.
func (s *session) run(action func() error) error {
	auth, err := natsauth.Read(s.Context)
	if err != nil {
		return err
	}
	ctx, stop := command.Interruptible(s.Context.Context)
	defer stop()
	s.ctx = ctx
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	s.asker.Conn, err = auth.Connect(s.String("nats"), "gipcs fleet", log,
		nats.RetryOnFailedConnect(false), nats.ErrorHandler(s.objection()))
	if err != nil {
		return err
	}
	defer s.asker.Conn.Close()
	if s.hosts, err = s.roll.call(ctx, s.asker.Conn); err != nil {
		return cmp.Or(s.interrupted(), err)
	}
	for _, host := range s.roll.twice {
		s.say(host, "two agents have this name; each must have its own, see --name of gipcs agent")
		s.status = command.Failed
	}
	return action()
}

// objection reports once what the server does not permit.
func (s *session) objection() nats.ErrHandler {
	told := false
	return func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) && !told {
			told = true
			command.Report(s.App.ErrWriter, s.App.Name, fmt.Errorf("NATS: %w", natsauth.Trimmed(err)))
		}
	}
}

// ask asks the hosts, and yields the complete answers in the order of the hosts. It keeps
// the failures and messages for report. To reject an answer, call fail.
func (s *session) ask(verb fleet.Verb, q fleet.Question) iter.Seq[*fleet.Answer] {
	return func(yield func(*fleet.Answer) bool) {
		for answer := range s.asker.Run(s.ctx, s.hosts, verb, q) {
			s.compare(&answer)
			if answer.Err != nil {
				s.failed = append(s.failed, answer)
				continue
			}
			s.roll.answered(answer.Host)
			s.status = max(s.status, answer.Status)
			if len(answer.Messages) > 0 {
				s.spoke = append(s.spoke, answer)
			}
			if !yield(&answer) {
				return
			}
		}
	}
}

// fail notes that an answer could not be used.
func (s *session) fail(a *fleet.Answer, why error) {
	failed := *a
	failed.Err = why
	s.failed = append(s.failed, failed)
}

// compare notes an agent of another version.
func (s *session) compare(a *fleet.Answer) {
	if a.Version == "" || a.Version == command.Version && a.Protocol == fleet.Protocol {
		return
	}
	name := a.Version
	if a.Protocol != fleet.Protocol {
		name = fmt.Sprintf("%s, protocol %d", a.Version, a.Protocol)
	}
	if s.versions[name] == nil {
		s.versions[name] = &difference{}
	}
	d := s.versions[name]
	d.hosts = append(d.hosts, a.Host)
}

// lacks notes the columns that an agent does not know. Their values are unknown, and the
// table is not complete.
func (s *session) lacks(a *fleet.Answer, columns []string) {
	if len(columns) == 0 {
		return
	}
	s.status = max(s.status, command.Failed)
	for _, d := range s.versions {
		if slices.Contains(d.hosts, a.Host) {
			for _, c := range columns {
				if !slices.Contains(d.lacking, c) {
					d.lacking = append(d.lacking, c)
				}
			}
			return
		}
	}
	s.say(a.Host, "its answer lacks "+strings.Join(columns, ", "))
}

// report says which hosts did not answer and why, passes on the messages of the others, and
// names the agents of other versions. It returns the exit status.
func (s *session) report() error {
	if err := s.interrupted(); err != nil {
		return err
	}
	for i := range s.spoke {
		for _, message := range s.spoke[i].Messages {
			s.say(s.spoke[i].Host, message)
		}
	}
	for i := range s.failed {
		s.say(s.failed[i].Host, s.failed[i].Err.Error())
	}
	for _, version := range slices.Sorted(maps.Keys(s.versions)) {
		s.reportVersion(version, s.versions[version])
	}
	if n := len(s.failed); n > 0 {
		s.status = command.Failed
		fmt.Fprintf(s.App.ErrWriter, "%s: %d of %d hosts did not answer\n", s.App.Name, n, len(s.hosts))
	}
	if err := s.roll.save(); err != nil {
		return err
	}
	if s.status != command.Done {
		return command.Exit(s.status)
	}
	return nil
}

func (s *session) reportVersion(version string, d *difference) {
	const most = 5
	who := strings.Join(d.hosts[:min(len(d.hosts), most)], ", ")
	if n := len(d.hosts); n > most {
		who = fmt.Sprintf("%s and %d more", who, n-most)
	}
	what := ""
	if len(d.lacking) > 0 {
		what = "; unknown there: " + strings.Join(d.lacking, ", ")
	}
	fmt.Fprintf(s.App.ErrWriter, "%s: %s: the agent has another version, %s, than this gipcs-fleet, %s%s\n",
		s.App.Name, who, command.OneLine(version), command.Version, what)
}

// interrupted returns an error if a signal has ended the work.
func (s *session) interrupted() error {
	if s.ctx.Err() == nil {
		return nil
	}
	return errors.New("interrupted")
}

// ended returns the error for which a command ends without a result.
func (s *session) ended() error { return cmp.Or(s.interrupted(), s.rejected()) }

// rejected returns an error of the command line if every host rejects it with the same
// message.
func (s *session) rejected() error {
	message := ""
	for i := range s.failed {
		var r *fleet.Rejected
		if !errors.As(s.failed[i].Err, &r) || i > 0 && r.Message != message {
			return nil
		}
		message = r.Message
	}
	if message == "" || len(s.failed) < len(s.hosts) {
		return nil
	}
	return command.Usagef("%s", command.OneLine(message))
}

func (s *session) say(host, message string) {
	fmt.Fprintf(s.App.ErrWriter, "%s: %s: %s\n", s.App.Name, command.OneLine(host), command.OneLine(message))
}

// options returns the options of a listing.
func (s *session) options() render.Options {
	return render.Options{NoHeadings: s.Bool("no-headings"), HumanSizes: s.Bool("human")}
}

// hostColumn is the first column of every listing.
func hostColumn() render.Column { return render.Column{Name: "host", Heading: "HOST"} }

// underHost puts the column of the host first.
func underHost(columns []render.Column) []render.Column {
	return slices.Concat([]render.Column{hostColumn()}, columns)
}

// forMachines reports whether a format is meant for programs rather than people.
func forMachines(f render.Format) bool {
	return f == render.JSON || f == render.NDJSON || f == render.CSV
}
