package sysv_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
	"golang.org/x/sys/unix"
)

const setKey sysv.Key = 0x5e7

func TestCreateSetErrors(t *testing.T) {
	set := createSet(t, setKey, 3, 0o600)
	limits, err := sysv.SemLimits()
	check(t, err)
	tests := []struct {
		name  string
		key   sysv.Key
		nsems int
		o     *sysv.SetOptions
		want  error
	}{
		{"exclusive", setKey, 3, nil, unix.EEXIST},
		{"exclusive", setKey, 3, nil, fs.ErrExist},
		{"more than the existing", setKey, 4, nil, fs.ErrExist},
		{"no semaphores", 1, 0, nil, unix.EINVAL},
		{"negative number", 1, -1, nil, unix.EINVAL},
		{"more than SEMMSL", 1, limits.MaxPerSet + 1, nil, unix.EINVAL},
		{"a number beyond 32 bits", 1, beyond32(1), nil, unix.EINVAL},
		{"mode with a sticky bit", 1, 1, &sysv.SetOptions{Mode: 0o600 | fs.ModeSticky}, unix.EINVAL},
	}
	for _, test := range tests {
		s, err := sysv.CreateSet(test.key, test.nsems, test.o)
		wantError(t, "CreateSet, "+test.name, err, test.want)
		if err == nil && s != set {
			remove(t, s)
		}
	}
	_, err = sysv.OpenSet(1)
	wantError(t, "OpenSet of an unknown key", err, unix.ENOENT)
	wantError(t, "OpenSet of an unknown key", err, fs.ErrNotExist)
}

// beyond32 returns a number whose low 32 bits are n, or -1 if an int has no more bits.
func beyond32(n int) int {
	if math.MaxInt == math.MaxInt32 {
		return -1
	}
	return int(uint64(1)<<32 + uint64(n))
}

func TestUnknownSet(t *testing.T) {
	existing := createSetWith(t, 5)
	removed := createSet(t, sysv.Private, 1, 0o600)
	check(t, removed.Remove())
	for _, s := range []sysv.Set{noID, removed, -1, math.MinInt32, sysv.Set(beyond32(int(existing)))} {
		_, stat := s.Stat()
		_, values := s.Values()
		_, value := s.Value(0)
		_, pid := s.PID(0)
		_, ncount := s.NCount(0)
		_, zcount := s.ZCount(0)
		_, try := s.TryDo(sysv.Op{Add: 1})
		for call, err := range map[string]error{
			"Stat": stat, "Values": values, "SetValues": s.SetValues([]uint16{1}), "Remove": s.Remove(),
			"Value": value, "PID": pid, "NCount": ncount, "ZCount": zcount, "SetValue": s.SetValue(0, 1), "Set": s.SetOwnership(sysv.Ownership{}),
			"TryDo": try, "Do": s.Do(t.Context(), sysv.Op{Add: 1}),
			"Wait": s.Wait(t.Context(), sysv.Op{Add: 1}),
		} {
			wantError(t, call, err, unix.EINVAL)
			wantError(t, call, err, fs.ErrNotExist)
		}
	}
	wantValues(t, "the set that nobody named", existing, 5)
}

func TestSetStat(t *testing.T) {
	ipctest.SkipWithoutMode(t)
	before := kernelSecond(t)
	set := createSet(t, setKey, 7, 0o642)
	info, err := set.Stat()
	check(t, err)
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	want := sysv.SetInfo{
		ID: int(set), Perm: sysv.Perm{Key: setKey, UID: uid, GID: gid, CUID: uid, CGID: gid, Mode: 0o642, Seq: info.Seq},
		NSems: 7, CTime: info.CTime,
	}
	if info != want {
		t.Errorf("Stat\n got %+v\nwant %+v", info, want)
	}
	wantRecent(t, "CTime", info.CTime, before)
	wantValues(t, "a new set", set, 0, 0, 0, 0, 0, 0, 0)

	check(t, set.Do(t.Context(), sysv.Op{}))
	info, err = set.Stat()
	check(t, err)
	wantRecent(t, "OTime", info.OTime, before)
}

func TestSetSet(t *testing.T) {
	ipctest.SkipWithoutMode(t)
	set := createSet(t, sysv.Private, 1, 0o600)
	if err := set.SetOwnership(sysv.Ownership{UID: 1000, GID: 2000, Mode: 0o751}); errors.Is(err, unix.EINVAL) {
		t.Skip("the user namespace knows one user only")
	} else if err != nil {
		t.Fatal(err)
	}
	info, err := set.Stat()
	check(t, err)
	want := sysv.Perm{UID: 1000, GID: 2000, CUID: uint32(os.Geteuid()), CGID: uint32(os.Getegid()), Mode: 0o751, Seq: info.Seq}
	if info.Perm != want {
		t.Errorf("Perm %+v, want %+v", info.Perm, want)
	}
	wantError(t, "Set, uid -1", set.SetOwnership(sysv.Ownership{UID: math.MaxUint32}), unix.EINVAL)
	wantError(t, "Set, mode of a directory", set.SetOwnership(sysv.Ownership{Mode: fs.ModeDir}), unix.EINVAL)
}

func TestSetValueErrors(t *testing.T) {
	set := createSetWith(t, 1, 2)
	for _, value := range []int{-1, 32768, math.MinInt32, math.MaxInt32, math.MinInt, math.MaxInt, beyond32(1)} {
		wantError(t, fmt.Sprintf("SetValue(0, %d)", value), set.SetValue(0, value), unix.ERANGE)
	}
	for _, num := range []int{-1, 2, math.MaxInt32, math.MinInt32, beyond32(0)} {
		wantError(t, fmt.Sprintf("SetValue(%d, 1)", num), set.SetValue(num, 1), unix.EINVAL)
		for name, query := range map[string]func(int) (int, error){"Value": set.Value, "PID": set.PID, "NCount": set.NCount, "ZCount": set.ZCount} {
			_, err := query(num)
			wantError(t, fmt.Sprintf("%s(%d)", name, num), err, unix.EINVAL)
		}
	}
	wantError(t, "SetValues beyond SEMVMX", set.SetValues([]uint16{5, 32768}), unix.ERANGE)
	wantError(t, "SetValues, one too few", set.SetValues([]uint16{5}), unix.EINVAL)
	wantError(t, "SetValues, one too many", set.SetValues([]uint16{5, 5, 5}), unix.EINVAL)
	wantValues(t, "after refused calls", set, 1, 2)
}

func TestSetValues(t *testing.T) {
	set := createSetWith(t, 1, 0, 32767)
	wantValues(t, "SetValues", set, 1, 0, 32767)
	check(t, set.SetValue(1, 32767))
	check(t, set.SetValue(2, 0))
	wantValues(t, "SetValue", set, 1, 32767, 0)
	for num, want := range []int{1, 32767, 0} {
		if got, err := set.Value(num); err != nil || got != want {
			t.Errorf("Value(%d) = %d, %v, want %d", num, got, err, want)
		}
		if got, err := set.PID(num); err != nil || got != os.Getpid() {
			t.Errorf("PID(%d) = %d, %v, want %d", num, got, err, os.Getpid())
		}
	}
}

func TestDoErrors(t *testing.T) {
	limits, err := sysv.SemLimits()
	check(t, err)
	set := createSetWith(t, 1, 32767)
	tooMany := make([]sysv.Op, limits.MaxOps+1)
	for i := range tooMany {
		tooMany[i] = sysv.Op{Add: 1}
	}
	tests := []struct {
		name string
		ops  []sysv.Op
		want error
	}{
		{"no operation", nil, unix.EINVAL},
		{"no such semaphore", []sysv.Op{{Add: 1}, {Num: 2, Add: 1}}, unix.EFBIG},
		{"more than SEMOPM", tooMany, unix.E2BIG},
		{"beyond SEMVMX", []sysv.Op{{Add: 1}, {Num: 1, Add: 1}}, unix.ERANGE},
		{"undo adjustment out of range", []sysv.Op{{Add: 1, Undo: true}, {Add: 32767, Undo: true}}, unix.ERANGE},
		{"would wait", []sysv.Op{{Add: 1}, {Add: -3, NoWait: true}}, unix.EAGAIN},
		{"would wait for zero", []sysv.Op{{Add: 1}, {NoWait: true}}, unix.EAGAIN},
	}
	for _, test := range tests {
		wantError(t, "Do, "+test.name, set.Do(t.Context(), test.ops...), test.want)
		ok, err := set.TryDo(test.ops...)
		if errors.Is(test.want, unix.EAGAIN) {
			wantError(t, "TryDo, "+test.name, err, nil)
		} else {
			wantError(t, "TryDo, "+test.name, err, test.want)
		}
		if ok {
			t.Errorf("TryDo, %s: it did it", test.name)
		}
		wantValues(t, test.name, set, 1, 32767)
	}
}

// TestAtomicOperations makes calls with several operations: they are performed in order,
// all or none.
func TestAtomicOperations(t *testing.T) {
	op := func(num uint16, add int16) sysv.Op { return sysv.Op{Num: num, Add: add} }
	tests := []struct {
		name   string
		before []uint16
		ops    []sysv.Op
		ok     bool
		after  []uint16
	}{
		{"add", []uint16{1}, []sysv.Op{op(0, 5)}, true, []uint16{6}},
		{"subtract to zero", []uint16{5}, []sysv.Op{op(0, -5)}, true, []uint16{0}},
		{"subtract too much", []uint16{5}, []sysv.Op{op(0, -6)}, false, []uint16{5}},
		{"zero is there", []uint16{0}, []sysv.Op{op(0, 0)}, true, []uint16{0}},
		{"zero is not there", []uint16{1}, []sysv.Op{op(0, 0)}, false, []uint16{1}},
		{"add, then take it", []uint16{0}, []sysv.Op{op(0, 1), op(0, -1)}, true, []uint16{0}},
		{"take, then add", []uint16{0}, []sysv.Op{op(0, -1), op(0, 1)}, false, []uint16{0}},
		{"zero, then add", []uint16{0}, []sysv.Op{op(0, 0), op(0, 3)}, true, []uint16{3}},
		{"add, then zero", []uint16{0}, []sysv.Op{op(0, 3), op(0, 0)}, false, []uint16{0}},
		{"take all, then zero", []uint16{4}, []sysv.Op{op(0, -4), op(0, 0), op(0, 1)}, true, []uint16{1}},
		{"the last of three fails", []uint16{3, 3, 0}, []sysv.Op{op(0, -1), op(1, 2), op(2, -1)}, false, []uint16{3, 3, 0}},
		{"the first of three fails", []uint16{0, 3, 3}, []sysv.Op{op(0, -1), op(1, -1), op(2, -1)}, false, []uint16{0, 3, 3}},
		{"all of three", []uint16{1, 1, 1}, []sysv.Op{op(0, -1), op(1, 1), op(2, 0), op(2, -1)}, false, []uint16{1, 1, 1}},
		{"twice the same", []uint16{3}, []sysv.Op{op(0, -2), op(0, -2)}, false, []uint16{3}},
		{"move", []uint16{7, 0}, []sysv.Op{op(0, -7), op(1, 7)}, true, []uint16{0, 7}},
		{"more than stay on the stack", make([]uint16, 12), []sysv.Op{
			op(0, 1), op(1, 1), op(2, 1), op(3, 1), op(4, 1), op(5, 1), op(6, 1), op(7, 1), op(8, 1), op(9, 1), op(10, 1), op(11, 1),
		}, true, []uint16{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
	}
	for _, test := range tests {
		set := createSetWith(t, test.before...)
		ok, err := set.TryDo(test.ops...)
		if ok != test.ok || err != nil {
			t.Errorf("%s: TryDo = %v, %v, want %v", test.name, ok, err, test.ok)
		}
		wantValues(t, test.name, set, test.after...)
	}
}

// TestOperationsWait starts a call that has to wait, and checks what it waits for.
func TestOperationsWait(t *testing.T) {
	tests := []struct {
		name   string
		before []uint16
		ops    []sysv.Op
		num    int // the semaphore it waits for
		zero   bool
		almost []sysv.Op // what does not suffice
		enough []sysv.Op
		after  []uint16
	}{
		{"grow", []uint16{1}, []sysv.Op{{Add: -3}}, 0, false, []sysv.Op{{Add: 1}}, []sysv.Op{{Add: 1}}, []uint16{0}},
		{"zero", []uint16{2}, []sysv.Op{{}}, 0, true, []sysv.Op{{Add: -1}}, []sysv.Op{{Add: -1}}, []uint16{0}},
		{"the second", []uint16{5, 0}, []sysv.Op{{Add: -1}, {Num: 1, Add: -2}}, 1, false, []sysv.Op{{Num: 1, Add: 1}}, []sysv.Op{{Num: 1, Add: 1}}, []uint16{4, 0}},
		{"lock by zero and one", []uint16{1}, []sysv.Op{{}, {Add: 1}}, 0, true, nil, []sysv.Op{{Add: -1}}, []uint16{1}},
	}
	for _, test := range tests {
		for name, do := range map[string]func(sysv.Set) error{
			"Do":          func(s sysv.Set) error { return s.Do(t.Context(), test.ops...) },
			"Do for ever": func(s sysv.Set) error { return s.Do(context.Background(), test.ops...) },
		} {
			set := createSetWith(t, test.before...)
			result := background(t, func() error { return do(set) })
			waits := func() int {
				count := set.NCount
				if test.zero {
					count = set.ZCount
				}
				n, err := count(test.num)
				check(t, err)
				return n
			}
			eventually(t, "it waits", func() bool { return waits() == 1 })
			if test.almost != nil {
				check(t, set.Do(t.Context(), test.almost...))
				if waits() != 1 {
					t.Errorf("%s, %s: it waits no more", name, test.name)
				}
			}
			check(t, set.Do(t.Context(), test.enough...))
			wantError(t, name+", "+test.name, result(), nil)
			wantValues(t, name+", "+test.name, set, test.after...)
			if waits() != 0 {
				t.Errorf("%s, %s: it still counts as waiting", name, test.name)
			}
		}
	}
}

// TestBestFit has two waiters. The later one wants less, and gets it.
func TestBestFit(t *testing.T) {
	set := createSetWith(t, 0)
	waiting := func(n int) {
		eventually(t, "they wait", func() bool {
			got, err := set.NCount(0)
			check(t, err)
			return got == n
		})
	}
	two := background(t, func() error { return set.Do(t.Context(), sysv.Op{Add: -2}) })
	waiting(1)
	one := background(t, func() error { return set.Do(t.Context(), sysv.Op{Add: -1}) })
	waiting(2)
	check(t, set.Do(t.Context(), sysv.Op{Add: 1}))
	check(t, one())
	waiting(1)
	check(t, set.Do(t.Context(), sysv.Op{Add: 2}))
	check(t, two())
	wantValues(t, "in the end", set, 0)
}

// TestDoDeadline checks that a wait does not end before its context.
func TestDoDeadline(t *testing.T) {
	set := createSetWith(t, 0)
	for _, timeout := range []time.Duration{-1, 0, 1, 30 * time.Millisecond} {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		wantError(t, "Do", set.Do(ctx, sysv.Op{Add: -1}), context.DeadlineExceeded)
		if took := time.Since(start); took < timeout {
			t.Errorf("Do with %v left came back after %v", timeout, took)
		}
		cancel()
	}
}

// TestRemoveWakes removes a set while calls wait on it.
func TestRemoveWakes(t *testing.T) {
	for name, do := range map[string]func(sysv.Set) error{
		"Do":          func(s sysv.Set) error { return s.Do(t.Context(), sysv.Op{Add: -1}) },
		"Do for ever": func(s sysv.Set) error { return s.Do(context.Background(), sysv.Op{Add: -1}) },
	} {
		set := createSetWith(t, 0)
		result := background(t, func() error { return do(set) })
		eventually(t, "it waits", func() bool {
			n, err := set.NCount(0)
			check(t, err)
			return n == 1
		})
		check(t, set.Remove())
		err := result()
		wantError(t, name, err, unix.EIDRM)
		wantError(t, name, err, fs.ErrNotExist)
	}
}

// playOperate performs the operations args[1:], each NUM:ADD, with undo, on the set
// args[0], and reports that. Told to exec, it becomes a program that ends with its
// standard input. Told to end a thread, it lets a thread perform another operation and
// end.
func playOperate(args []string) error {
	id, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	set := sysv.Set(id)
	var ops []sysv.Op
	for _, arg := range args[1:] {
		op := sysv.Op{Undo: true}
		if _, err := fmt.Sscanf(arg, "%d:%d", &op.Num, &op.Add); err != nil {
			return err
		}
		ops = append(ops, op)
	}
	if err := set.Do(context.Background(), ops...); err != nil {
		return err
	}
	for fmt.Println("done"); ; fmt.Println("done") {
		switch ipctest.Told() {
		case "exec":
			return syscall.Exec("/bin/sh", []string{"sh", "-c", "echo done; read line; exit 0"}, nil)
		case "end a thread":
			ended := make(chan error)
			go func() {
				runtime.LockOSThread() // and never unlocked
				ended <- set.Do(context.Background(), ops...)
			}()
			if err := <-ended; err != nil {
				return err
			}
		case "start a child":
			if err := runTrue(); err != nil {
				return err
			}
		case "exit":
			return nil
		}
	}
}

func runTrue() error {
	p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
	if err != nil {
		return err
	}
	_, err = p.Wait()
	return err
}

func startOperate(t *testing.T, set sysv.Set, ops ...string) *ipctest.Process {
	t.Helper()
	p := ipctest.Start(t, "operate", nil, append([]string{strconv.Itoa(int(set))}, ops...)...)
	p.Line()
	return p
}

// TestUndo ends a process in every possible way.
func TestUndo(t *testing.T) {
	for name, end := range map[string]func(*ipctest.Process){
		"exit":    func(p *ipctest.Process) { p.Tell("exit"); p.Wait() },
		"SIGKILL": (*ipctest.Process).Kill,
		"after exec": func(p *ipctest.Process) {
			p.Tell("exec")
			p.Line()
		},
	} {
		set := createSetWith(t, 5, 0)
		p := startOperate(t, set, "0:-2", "1:7")
		wantValues(t, "before "+name, set, 3, 7)
		if pid, err := set.PID(0); err != nil || pid != p.PID() {
			t.Errorf("PID(0) = %d, %v, want %d", pid, err, p.PID())
		}
		end(p)
		if name == "after exec" { // the adjustment is kept
			wantValues(t, name, set, 3, 7)
			p.End()
		}
		wantValues(t, "after "+name, set, 5, 0)
	}
}

// TestUndoBelongsToTheProcess ends a thread and a child of a process. Neither end undoes
// anything.
func TestUndoBelongsToTheProcess(t *testing.T) {
	set := createSetWith(t, 5)
	p := startOperate(t, set, "0:-1")
	p.Tell("end a thread")
	p.Line()
	wantValues(t, "with a thread gone", set, 3)
	p.Tell("start a child")
	p.Line()
	wantValues(t, "with a child gone", set, 3)
	p.End()
	wantValues(t, "at the end", set, 5)
}

// TestUndoOfGoroutines ends a goroutine, and a goroutine together with its thread, in this
// process.
func TestUndoOfGoroutines(t *testing.T) {
	set := createSetWith(t, 5)
	take := func() {
		_, err := set.TryDo(sysv.Op{Add: -1, Undo: true})
		wantError(t, "TryDo", err, nil)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		take()
	}()
	<-done
	tid := onThreadOfItsOwn(take)
	if !ipctest.UnderQEMU() {
		eventually(t, "the thread is gone", func() bool { return !slices.Contains(threads(t), tid) })
	}
	wantValues(t, "with both gone", set, 3)
	check(t, set.SetValue(0, 3)) // clears the adjustment
}

// onThreadOfItsOwn runs f on a thread that ends after it, and returns its id. The
// first thread of a process never ends.
func onThreadOfItsOwn(f func()) (tid int) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked, except the first
		if tid = unix.Gettid(); tid == os.Getpid() {
			tid = onThreadOfItsOwn(f)
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
	<-done
	return tid
}

// TestSetValueClearsUndo sets values while another process has adjustments.
func TestSetValueClearsUndo(t *testing.T) {
	for name, test := range map[string]struct {
		set  func(sysv.Set) error
		want []uint16
	}{
		"SetValue":  {func(s sysv.Set) error { return s.SetValue(0, 4) }, []uint16{4, 9}},
		"SetValues": {func(s sysv.Set) error { return s.SetValues([]uint16{4, 4}) }, []uint16{4, 4}},
	} {
		set := createSetWith(t, 9, 9)
		p := startOperate(t, set, "0:-1", "1:-1")
		check(t, test.set(set))
		p.End()
		wantValues(t, name, set, test.want...)
	}
}

// TestUndoIsClamped ends a process whose undo would take values out of their range.
func TestUndoIsClamped(t *testing.T) {
	set := createSetWith(t, 0, 32767)
	p := startOperate(t, set, "0:5", "1:-5")
	check(t, set.Do(t.Context(), sysv.Op{Add: -3}, sysv.Op{Num: 1, Add: 2})) // leaves less than is undone
	p.End()
	wantValues(t, "at the end", set, 0, 32767)
}

// TestUndoWakes waits for a value that the undo of an ending process restores.
func TestUndoWakes(t *testing.T) {
	set := createSetWith(t, 1)
	p := startOperate(t, set, "0:-1")
	result := background(t, func() error { return set.Do(t.Context(), sysv.Op{Add: -1}) })
	eventually(t, "it waits", func() bool {
		n, err := set.NCount(0)
		check(t, err)
		return n == 1
	})
	p.Kill()
	wantError(t, "Do", result(), nil)
}

// TestTryDoAllocatesNothing makes calls that do not block.
func TestTryDoAllocatesNothing(t *testing.T) {
	set, ctx := createSetWith(t, 0), t.Context()
	wantNoAllocations(t, func() {
		if ok, err := set.TryDo(sysv.Op{Add: 1}, sysv.Op{}, sysv.Op{Add: -1}); ok || err != nil {
			t.Error(ok, err)
		}
		if ok, err := set.TryDo(sysv.Op{Add: 1}, sysv.Op{Add: -1}); !ok || err != nil {
			t.Error(ok, err)
		}
		if err := set.Do(ctx, sysv.Op{Add: 1}, sysv.Op{Add: -1}); err != nil {
			t.Error(err)
		}
	})
}

// TestRemovedDuringTheCall removes large sets while their values are set, until the kernel
// finds one gone between its two lookups, for which it returns EIDRM.
func TestRemovedDuringTheCall(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it takes too long to hit the moment")
	const many = 20000
	values := make([]uint16, many)
	seen := map[error]int{}
	for began := time.Now(); seen[unix.EIDRM] == 0; {
		if time.Since(began) > 5*time.Second {
			t.Skipf("the moment was not hit; errors: %v", seen)
		}
		set := createSet(t, sysv.Private, many, 0o600)
		set2 := background(t, func() error { return set.SetValues(values) })
		for range rand.IntN(20000) { // about as long as the call takes
			runtime.KeepAlive(set)
		}
		check(t, set.Remove())
		if err := set2(); err != nil {
			wantError(t, "SetValues", err, fs.ErrNotExist)
			var failed *sysv.Error
			if errors.As(err, &failed) {
				seen[failed.Err]++
			}
		}
	}
	t.Logf("errors: %v", seen)
}
