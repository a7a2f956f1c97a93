package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) {
	ipctest.Play(map[string]ipctest.Role{"comeAndGo": playComeAndGo, "hold": playHold})
	ipctest.Main(m)
}

var config = Config{Key: 7, SemKey: 8, Size: 100}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func join(t *testing.T) *Session {
	t.Helper()
	s, err := Join(t.Context(), config)
	check(t, err)
	return s
}

// wantNothing checks that no object is left under the keys.
func wantNothing(t *testing.T) {
	t.Helper()
	_, errSegment := sysv.OpenSegment(config.Key)
	_, errSet := sysv.OpenSet(config.SemKey)
	if !errors.Is(errSegment, fs.ErrNotExist) || !errors.Is(errSet, fs.ErrNotExist) {
		t.Errorf("left behind: segment: %v, set: %v", errSegment, errSet)
	}
}

// playComeAndGo joins and leaves the session repeatedly.
func playComeAndGo(args []string) error {
	rounds, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	for n := range rounds {
		s, err := Join(context.Background(), config)
		if err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
		if err := s.Leave(); err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
	}
	return nil
}

// TestJoinRacesWithLeave: processes come and go under the same keys, and together make
// and remove the session hundreds of times.
func TestJoinRacesWithLeave(t *testing.T) {
	const rounds = 400
	var all []*ipctest.Process
	for range 4 {
		all = append(all, ipctest.Start(t, "comeAndGo", nil, strconv.Itoa(rounds)))
	}
	var both sync.WaitGroup
	for range 2 { // goroutines of one process would share undo adjustments
		both.Go(func() {
			if err := playComeAndGo([]string{strconv.Itoa(rounds)}); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	for _, p := range all {
		p.Wait()
	}
	wantNothing(t)
}

// TestKilledInBetween kills processes anywhere in joining and leaving. The next process
// to join finds a working session and leaves nothing behind.
func TestKilledInBetween(t *testing.T) {
	for n := range ipctest.Rounds(t, 40, 3) {
		var all []*ipctest.Process
		for range 3 {
			all = append(all, ipctest.Start(t, "comeAndGo", nil, "1000000"))
		}
		awaitSet(t)
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond) // anywhere
		for _, p := range all {
			p.Kill()
		}
		s := join(t)
		wantRoundTrip(t, s, fmt.Sprintf("round %d", n))
		check(t, s.Leave())
		wantNothing(t)
	}
}

func awaitSet(t *testing.T) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Microsecond) {
		if _, err := sysv.OpenSet(config.SemKey); err == nil {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatal("no set in time")
		}
	}
}

// wantRoundTrip passes a line, and drops lines that a killed process left.
func wantRoundTrip(t *testing.T, s *Session, line string) {
	t.Helper()
	r, err := s.Reader()
	check(t, err)
	check(t, s.Writer(os.Getpid()).Write(t.Context(), []byte(line)))
	got, err := r.Read(t.Context())
	check(t, err)
	if string(got.Text) != line || got.PID != os.Getpid() {
		t.Errorf("read %q of %d, want %q of %d", got.Text, got.PID, line, os.Getpid())
	}
	check(t, r.Done())
	_, err = s.set.TryDo(upUndo(semReader)) // releases the reader's end, as a process does by ending
	check(t, err)
}

// playHold joins, follows orders, confirms, and waits to be killed.
func playHold(args []string) error {
	ctx := context.Background()
	s, err := Join(ctx, config)
	if err != nil {
		return err
	}
	w := s.Writer(os.Getpid())
	var r *Reader
	for _, arg := range args {
		switch arg {
		case "write":
			err = w.Write(ctx, []byte("held"))
		case "begin a line":
			_, err = s.set.TryDo(downUndo(semWriter))
		case "fill":
			_, err = s.set.TryDo(downUndo(semFree))
		case "read":
			if r, err = s.Reader(); err == nil {
				_, err = r.Read(ctx)
			}
		case "finish":
			err = r.Done()
		case "come in":
			err = (&Session{config: config}).enter(ctx)
		case "leave last":
			_, err = s.leaveLast()
		case "remove segment":
			err = errors.Join(s.set.SetValue(semSegment, halfMade), s.segment.Remove())
		case "forget segment":
			err = s.set.SetValue(semSegment, halfMade)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", arg, err)
		}
	}
	fmt.Println("held")
	select {}
}

// TestKilledHolding kills a process that holds something. The kernel gives it back, and
// the next process can continue.
func TestKilledHolding(t *testing.T) {
	// free, full, writer, reader, door, users, segment
	idle := []uint16{1, 0, 1, 1, 1, 0, made}
	with := func(changes ...uint16) []uint16 {
		values := slices.Clone(idle)
		for i := 0; i < len(changes); i += 2 {
			values[changes[i]] = changes[i+1]
		}
		return values
	}
	tests := []struct {
		does string // separated by commas
		held []uint16
		left []uint16
	}{
		{"", with(semUsers, 1), idle},
		{"begin a line", with(semUsers, 1, semWriter, 0), idle},
		{"begin a line,fill", with(semUsers, 1, semWriter, 0, semFree, 0), idle},
		{"write", with(semUsers, 1, semFree, 0, semFull, 1), with(semFree, 0, semFull, 1)},
		{"write,begin a line", with(semUsers, 1, semFree, 0, semFull, 1, semWriter, 0), with(semFree, 0, semFull, 1)},
		{"write,read", with(semUsers, 1, semFree, 0, semReader, 0), with(semFree, 0, semFull, 1)},
		{"write,read,finish", with(semUsers, 1, semReader, 0), idle},
		{"come in", with(semUsers, 2, semDoor, 0), idle},
		{"leave last", with(semDoor, 0), idle},
		{"leave last,forget segment", with(semDoor, 0, semSegment, halfMade), with(semSegment, halfMade)},
		{"leave last,remove segment", with(semDoor, 0, semSegment, halfMade), with(semSegment, halfMade)},
		{"forget segment", with(semUsers, 1, semSegment, halfMade), with(semSegment, halfMade)},
	}
	for _, test := range tests {
		p := ipctest.Start(t, "hold", nil, strings.FieldsFunc(test.does, func(r rune) bool { return r == ',' })...)
		p.Line()
		set, err := sysv.OpenSet(config.SemKey)
		check(t, err)
		wantValues(t, test.does, set, test.held)
		p.Kill()
		wantValues(t, test.does+", killed", set, test.left)

		s := join(t)
		if test.left[semFull] == 1 { // its line is not lost
			r, err := s.Reader()
			check(t, err)
			line, err := r.Read(t.Context())
			if err != nil || string(line.Text) != "held" {
				t.Errorf("%s: read %q, %v", test.does, line.Text, err)
			}
			check(t, r.Done())
		} else {
			wantRoundTrip(t, s, "works")
		}
		check(t, s.Leave())
		wantNothing(t)
	}
}

func wantValues(t *testing.T, what string, set sysv.Set, want []uint16) {
	t.Helper()
	got, err := set.Values()
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: values %v, %v, want %v", what, got, err, want)
	}
}

// TestHalfMade joins after a process was killed before the segment existed, and where
// the segment cannot be made.
func TestHalfMade(t *testing.T) {
	for _, state := range []uint16{noSegment, halfMade} {
		values := initialValues()
		values[semSegment] = state
		_, _, err := sysv.OpenOrCreateSet(t.Context(), config.SemKey, values, nil)
		check(t, err)
		s := join(t)
		wantRoundTrip(t, s, "works")
		check(t, s.Leave())
		wantNothing(t)
	}

	// A foreign segment has the key: the new set is removed, the segment stays.
	segment, err := sysv.CreateSegment(config.Key, 10, nil)
	check(t, err)
	if _, err := Join(t.Context(), config); err == nil {
		t.Error("a foreign segment was accepted")
	}
	if _, err := sysv.OpenSet(config.SemKey); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the set was not removed: %v", err)
	}
	check(t, segment.Remove())
}

// TestJoinIsCancelled waits at a closed door.
func TestJoinIsCancelled(t *testing.T) {
	p := ipctest.Start(t, "hold", nil, "leave last")
	p.Line()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Join(ctx, config); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Join: %v, want a cancellation", err)
	}
	p.Kill()
	check(t, join(t).Leave())
	wantNothing(t)
}

// TestSecondReader: there is one reader at most, and the error names it.
func TestSecondReader(t *testing.T) {
	s := join(t)
	_, err := s.Reader()
	check(t, err)
	if _, err := s.Reader(); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), fmt.Sprint("pid ", os.Getpid())) {
		t.Errorf("second reader: %v", err)
	}
	check(t, s.Leave())
	wantNothing(t)
}

// TestInvalidChunks lets another process write to the segment.
func TestInvalidChunks(t *testing.T) {
	tests := []struct {
		name                  string
		total, offset, length uint64
	}{
		{"longer than the segment", 1000, 0, 37},
		{"far longer", 1 << 63, 0, 1<<64 - 1},
		{"longer than the line", 5, 0, 6},
		{"beyond the line", 5, 6, 0},
		{"beyond its end", 5, 4, 2},
		{"so far that a sum would wrap", 1<<64 - 1, 1<<64 - 1, 36},
	}
	s := join(t)
	r, err := s.Reader()
	check(t, err)
	for _, test := range tests {
		if _, err := s.set.TryDo(down(semFree), up(semFull)); err != nil {
			t.Fatal(err)
		}
		s.head.Total, s.head.Offset, s.head.Length = test.total, test.offset, test.length
		if line, err := r.Read(t.Context()); err == nil {
			t.Errorf("%s: read %q", test.name, line.Text)
		}
		check(t, r.Done())
	}
	check(t, s.Leave())
	wantNothing(t)
}

// TestCancelled cancels each wait, and checks that nothing is held afterwards.
func TestCancelled(t *testing.T) {
	s := join(t)
	r, err := s.Reader()
	check(t, err)
	w := s.Writer(1)
	soon := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	_, err = r.Read(soon())
	wantCancelled(t, "Read", err)
	check(t, w.Write(t.Context(), []byte("one")))
	wantCancelled(t, "Write", w.Write(soon(), []byte("two")))
	wantCancelled(t, "Flush", w.Flush(soon()))
	wantValues(t, "cancelled", s.set, []uint16{0, 1, 1, 0, 1, 1, made})
	done, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.Read(done)
	wantCancelled(t, "Read of a line that is there", err)
	line, err := r.Read(t.Context())
	if err != nil || string(line.Text) != "one" {
		t.Errorf("read %q, %v", line.Text, err)
	}
	check(t, r.Done())

	// Within a line: nobody reads the rest, and it is dropped.
	wantCancelled(t, "Write of a long line", w.Write(soon(), make([]byte, 100)))
	go func() { _ = w.Write(context.Background(), []byte("next")) }() // the reader reads its end
	line, err = r.Read(t.Context())
	if err != nil || string(line.Text) != "next" {
		t.Errorf("read %q, %v", line.Text, err)
	}
	check(t, r.Done())
	check(t, s.Leave())
	wantNothing(t)
}

func wantCancelled(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		t.Errorf("%s: %v, want a cancellation", what, err)
	}
}

// TestSegmentRemoved: the next process to join learns of it; current users are
// unaffected.
func TestSegmentRemoved(t *testing.T) {
	s := join(t)
	check(t, s.Segment().Remove())
	if _, err := Join(t.Context(), config); err == nil || !strings.Contains(err.Error(), "was removed") {
		t.Errorf("Join: %v", err)
	}
	wantRoundTrip(t, s, "still works")
	check(t, s.Leave())
	wantNothing(t)
}

// TestSetRemoved: the last process to leave removes the segment nevertheless.
func TestSetRemoved(t *testing.T) {
	first, second := join(t), join(t)
	check(t, first.Set().Remove())
	if err := first.Writer(1).Write(t.Context(), nil); !errors.Is(err, unix.EINVAL) {
		t.Errorf("Write: %v", err)
	}
	check(t, first.Leave())
	if _, err := sysv.OpenSegment(config.Key); err != nil {
		t.Errorf("the segment was removed while in use: %v", err)
	}
	check(t, second.Leave())
	wantNothing(t)
}
