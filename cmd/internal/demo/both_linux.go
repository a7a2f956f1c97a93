package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/sysv"
)

// lines returns the lines that the writer is given.
func lines() []string {
	return []string{
		"hello from one process to another",
		"nothing was copied through the kernel:",
		"this line lies in a page that both of us have mapped",
		"a semaphore told you that it is complete",
		End,
	}
}

// A Both is a demo with both halves: it runs them as processes, gives the writer lines, and
// shows what happens. It takes part in their session, so it can inspect the session, and
// removes it whatever happens to the halves.
type Both struct {
	Config  Config
	Classic bool          // use the protocol of Classic
	Pause   time.Duration // between the lines
	Out     io.Writer     // gets what both halves print, line by line
	// Half returns a command, not yet started, that runs the half args[0] with the flags
	// that follow. Run sets its files, except standard error, and starts it.
	Half func(ctx context.Context, args ...string) *exec.Cmd
}

// Run runs the demo, and returns nil if ctx ends it.
func (b *Both) Run(ctx context.Context) error {
	s, err := b.open(ctx)
	if err != nil {
		return EndOf(ctx, err)
	}
	err = s.play(ctx)
	err = errors.Join(EndOf(ctx, err), s.leave())
	if err == nil && ctx.Err() == nil {
		err = s.confirmGone()
	}
	return err
}

// EndOf returns nil for an error that only says that ctx has ended.
func EndOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// A stage is where the demo takes place.
type stage struct {
	*Both
	segment sysv.Segment
	set     sysv.Set
	leave   func() error
	// awaitReader waits for the reader; nil in the classic protocol, which does not
	// know whether there is one.
	awaitReader func(context.Context) error
}

func (b *Both) open(ctx context.Context) (*stage, error) {
	if b.Classic {
		pair, err := OpenClassic(b.Config, true)
		if err != nil {
			return nil, err
		}
		return &stage{Both: b, segment: pair.Segment(), set: pair.Set(), leave: func() error { return pair.Close(true) }}, nil
	}
	session, err := Join(ctx, b.Config)
	if err != nil {
		return nil, err
	}
	return &stage{
		Both: b, segment: session.Segment(), set: session.Set(),
		leave: session.Leave, awaitReader: session.AwaitReader,
	}, nil
}

func (s *stage) say(who, format string, args ...any) {
	fmt.Fprintf(s.Out, "%-14s %s\n", who, fmt.Sprintf(format, args...))
}

// errEarly means that a half ended before it was told to.
var errEarly = errors.New("the demo ended too early")

// play starts the actors. It gives the writer each line after the reader has printed the
// previous one, and returns when both have ended.
func (s *stage) play(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.say("demo", "segment %d with key %v and semaphore set %d with key %v", s.segment, s.Config.Key, s.set, s.Config.SemKey)

	actors, err := s.startBoth(ctx)
	if err == nil {
		err = s.pass(ctx, actors[1], actors[0])
	}
	if err != nil { // the half that is left must not wait for the other
		cancel()
	}
	return errors.Join(err, wait(actors))
}

// startBoth starts the reader, waits until it is there, and starts the writer. If it fails,
// it also returns the actors that it has started.
func (s *stage) startBoth(ctx context.Context) (actors []*actor, err error) {
	for _, half := range []string{"reader", "writer"} {
		a, err := s.start(ctx, half)
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

// awaitWords waits for the first words of a half that speaks the classic protocol. The
// reader of that protocol begins by clearing the semaphore, which discards any line written
// before.
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

func (s *stage) pass(ctx context.Context, writer, reader *actor) error {
	for i, line := range lines() {
		if i > 0 && !sleep(ctx, s.Pause, writer, reader) {
			return early(ctx)
		}
		s.say(writer.name, "%s", line)
		if _, err := io.WriteString(writer.stdin, line+"\n"); err != nil {
			return early(ctx)
		}
		heard, ok := hear(writer, reader, line == End)
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

// hear waits until the reader prints a line. It returns false if a half ends before that,
// unless that half is the writer and the line is the last.
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

// sleep pauses. It returns false if the demo can't go on.
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

// show prints the segment as a listing shows it, and the processes that have it attached.
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

// attachment prints where a process has the segment attached. It prints nothing if the
// process is gone or this program may not inspect it.
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

// confirmGone returns an error if an object was left behind.
func (s *stage) confirmGone() error {
	_, errSegment := s.segment.Stat()
	_, errSet := s.set.Stat()
	if !errors.Is(errSegment, fs.ErrNotExist) || !errors.Is(errSet, fs.ErrNotExist) {
		return fmt.Errorf("segment %d or semaphore set %d is still there", s.segment, s.set)
	}
	s.say("demo", "segment %d and semaphore set %d are removed; nothing is left behind", s.segment, s.set)
	return nil
}
