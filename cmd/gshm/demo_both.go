//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/demo"
	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/sysv"
)

// demoLines are what the writer is given to say.
var demoLines = [...]string{
	"hello from one process to another",
	"nothing was copied through the kernel:",
	"this line lies in a page that both of us have mapped",
	"a semaphore told you that it is complete",
	demo.End,
}

// demoBoth runs the halves as child processes, and is itself a user of their
// session: so it can look at it, and removes it whatever becomes of them.
func demoBoth(c *cli.Context) error {
	pause, err := pauseFlag(c)
	if err != nil {
		return err
	}
	key, semKey := freeKeys()
	if c.Bool("classic") {
		key, semKey = demo.ClassicKey, demo.ClassicSemKey
	}
	config, err := demoConfig(c, key, semKey)
	if err != nil {
		return err
	}
	ctx, stop := demoContext(c.Context)
	defer stop()
	stage, err := openStage(ctx, c, config)
	if err != nil {
		return endOf(ctx, err)
	}
	err = stage.play(ctx, pause)
	err = errors.Join(endOf(ctx, err), stage.close())
	if err == nil && ctx.Err() == nil {
		err = stage.confirmGone()
	}
	return err
}

// freeKeys returns keys that nobody has, so that several demos can run at once.
func freeKeys() (key, semKey sysv.Key) {
	for {
		key, semKey = sysv.Key(rand.Int32()|1), sysv.Key(rand.Int32()|1)
		_, errSegment := sysv.OpenSegment(key)
		_, errSet := sysv.OpenSet(semKey)
		if errSegment != nil && errSet != nil { // any other error comes again when they are made
			return key, semKey
		}
	}
}

// A stage is where the demo takes place.
type stage struct {
	c       *cli.Context
	config  demo.Config
	segment sysv.Segment
	set     sysv.Set
	leave   func() error
	// awaitReader waits for the reader; nil in the classic protocol, which does not
	// know whether there is one.
	awaitReader func(context.Context) error
}

func openStage(ctx context.Context, c *cli.Context, config demo.Config) (*stage, error) {
	if c.Bool("classic") {
		pair, err := demo.OpenClassic(config, true)
		if err != nil {
			return nil, err
		}
		return &stage{c: c, config: config, segment: pair.Segment(), set: pair.Set(), leave: func() error { return pair.Close(true) }}, nil
	}
	session, err := demo.Join(ctx, config)
	if err != nil {
		return nil, err
	}
	return &stage{
		c: c, config: config, segment: session.Segment(), set: session.Set(),
		leave: session.Leave, awaitReader: session.AwaitReader,
	}, nil
}

func (s *stage) close() error { return s.leave() }

func (s *stage) say(who, format string, args ...any) {
	fmt.Fprintf(s.c.App.Writer, "%-14s %s\n", who, fmt.Sprintf(format, args...))
}

// errEarly says that a half ended before it was told to.
var errEarly = errors.New("the demo ended too early")

// play starts the actors, gives the writer a line at a time, waits until the reader
// has printed it, and ends with both.
func (s *stage) play(ctx context.Context, pause time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tied, err := newLifeline()
	if err != nil {
		return err
	}
	defer tied.close()
	s.say("demo", "segment %d with key %v and semaphore set %d with key %v", s.segment, s.config.Key, s.set, s.config.SemKey)

	actors, err := s.startBoth(ctx, tied)
	if err == nil {
		err = s.pass(ctx, pause, actors[1], actors[0])
	}
	if err != nil { // whoever is left is not to wait for the other
		cancel()
	}
	return errors.Join(err, wait(actors))
}

// startBoth starts the reader, waits until it is there, and starts the writer. What
// was started is returned with an error too.
func (s *stage) startBoth(ctx context.Context, tied lifeline) (actors []*actor, err error) {
	for _, half := range []string{"reader", "writer"} {
		a, err := s.start(ctx, tied, half)
		if err != nil {
			return actors, err
		}
		actors = append(actors, a)
		switch {
		case s.awaitReader == nil:
			err = s.awaitWords(ctx, a)
		case half == "reader":
			err = s.awaitReading(ctx, a)
		}
		if err != nil {
			return actors, err
		}
	}
	return actors, nil
}

// awaitWords waits for the first words of a half that speaks the classic protocol.
// There the reader clears the semaphore, and with it whatever was written before.
func (s *stage) awaitWords(ctx context.Context, a *actor) error {
	line, ok := <-a.lines
	if !ok {
		return early(ctx)
	}
	s.say(a.name, "%s", line)
	return nil
}

// awaitReading waits until the reader reads, or is gone.
func (s *stage) awaitReading(ctx context.Context, reader *actor) error {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-reader.over:
			stop()
		case <-waiting.Done():
		}
	}()
	err := s.awaitReader(waiting)
	if errors.Is(err, context.Canceled) {
		return early(ctx)
	}
	return err
}

func (s *stage) pass(ctx context.Context, pause time.Duration, writer, reader *actor) error {
	for i, line := range demoLines {
		if i > 0 && !sleep(ctx, pause, writer, reader) {
			return early(ctx)
		}
		s.say(writer.name, "%s", line)
		if _, err := io.WriteString(writer.stdin, line+"\n"); err != nil {
			return early(ctx)
		}
		heard, ok := hear(writer, reader, line == demo.End)
		if !ok {
			return early(ctx)
		}
		s.say(reader.name, "%s", heard)
		if i == 0 {
			if err := s.show(writer, reader); err != nil {
				return err
			}
		}
	}
	return nil
}

// hear waits until the reader prints a line. It returns false if one of the two
// ends before, which only the writer may do, and behind the last line.
func hear(writer, reader *actor, last bool) (line string, ok bool) {
	select {
	case line, ok = <-reader.lines:
	case <-writer.over:
		if last && writer.err == nil {
			line, ok = <-reader.lines
		}
	}
	return line, ok
}

// early returns why the demo can't go on: the user wants to stop, or a half is gone.
func early(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return errEarly
}

// sleep returns false if there is no point in going on.
func sleep(ctx context.Context, pause time.Duration, writer, reader *actor) bool {
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
	case <-writer.over:
	case <-reader.over:
	}
	return false
}

// An actor is a half of the demo, run as a process.
type actor struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string
	over  chan struct{} // closed when it has ended and err is set
	err   error
}

func (s *stage) start(ctx context.Context, tied lifeline, half string) (*actor, error) {
	args := []string{
		"demo", half,
		"--key", s.config.Key.String(), "--sem-key", s.config.SemKey.String(), "--size", strconv.FormatInt(s.config.Size, 10),
	}
	if s.c.Bool("classic") {
		args = append(args, "--classic")
	}
	cmd := tied.command(ctx, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	a := &actor{
		name: fmt.Sprintf("%s %d", half, cmd.Process.Pid), cmd: cmd, stdin: stdin,
		lines: make(chan string, len(demoLines)+1), over: make(chan struct{}),
	}
	go a.attend(stdout)
	return a, nil
}

// attend passes on what the actor prints, and its end.
func (a *actor) attend(stdout io.Reader) {
	defer close(a.over)
	for in := bufio.NewScanner(stdout); in.Scan(); {
		a.lines <- in.Text()
	}
	close(a.lines)
	a.err = a.cmd.Wait()
}

// wait waits for the end of the actors, and returns why those ended badly that did.
// One that was cancelled ends well.
func wait(actors []*actor) (err error) {
	for _, a := range actors {
		for range a.lines { // what nobody is there to hear any more
		}
		<-a.over
		if a.err != nil && !errors.Is(a.err, context.Canceled) {
			err = errors.Join(err, fmt.Errorf("%s: %w", a.name, a.err))
		}
	}
	return err
}

// show prints the segment as a listing has it, and who has it attached.
func (s *stage) show(actors ...*actor) error {
	info, err := s.segment.Stat()
	if err != nil {
		return err
	}
	var status []string
	if info.Locked {
		status = append(status, "locked")
	}
	s.say("listing", "key        shmid      owner      perms      bytes      nattch     status")
	s.say("listing", "%-10v %-10d %-10d %-10o %-10d %-10d %s", info.Key, info.ID, info.UID, info.Mode, info.Size, info.NAttch, strings.Join(status, ","))
	proc, err := procfs.Open(procfs.Root)
	if err != nil {
		return err
	}
	defer proc.Close()
	for _, a := range actors {
		s.attachment(proc, a.name, a.cmd.Process.Pid)
	}
	s.attachment(proc, "demo "+strconv.Itoa(os.Getpid()), os.Getpid())
	return nil
}

// attachment prints where a process has the segment attached. It prints nothing for a
// process that it may not inspect, or that is gone.
func (s *stage) attachment(proc *procfs.FS, name string, pid int) {
	_ = proc.Mappings(pid, func(m procfs.Mapping) {
		if m.ID != int(s.segment) {
			return
		}
		access := "r--s"
		if m.Writable {
			access = "rw-s"
		}
		s.say("attached", "%s at %08x-%08x %s", name, m.Start, m.End, access)
	})
}

// confirmGone looks for what may have been left behind.
func (s *stage) confirmGone() error {
	_, errSegment := s.segment.Stat()
	_, errSet := s.set.Stat()
	if !errors.Is(errSegment, fs.ErrNotExist) || !errors.Is(errSet, fs.ErrNotExist) {
		return fmt.Errorf("segment %d or semaphore set %d is still there", s.segment, s.set)
	}
	s.say("demo", "segment %d and semaphore set %d are removed; nothing is left behind", s.segment, s.set)
	return nil
}
