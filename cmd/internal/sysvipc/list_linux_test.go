package sysvipc

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) { ipctest.Main(m) }

// isolate gives the test's goroutine its own IPC namespace, which ends with it.
func isolate(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
		t.Skipf("no IPC namespace: %v", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func collect[T any](t testing.TB, objects iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for o, err := range objects {
		must(t, err)
		all = append(all, o)
	}
	return all
}

// fill makes n objects of each kind.
func fill(t testing.TB, n int) {
	t.Helper()
	for i := range n {
		seg, err := sysv.CreateSegment(sysv.Key(-i), int64(4096*(i+1)), &sysv.SegmentOptions{Mode: 0o640, NoReserve: true})
		must(t, err)
		if i%2 == 0 {
			must(t, seg.Lock())
		}
		_, err = sysv.CreateSet(sysv.Key(-i), i+1, &sysv.SetOptions{Mode: 0o604})
		must(t, err)
		q, err := sysv.CreateQueue(sysv.Key(-i), &sysv.QueueOptions{Mode: 0o602})
		must(t, err)
		_, err = q.TrySend(1, make([]byte, i))
		must(t, err)
	}
}

// compare compares both ways of listing.
func compare(t *testing.T, n int) {
	t.Helper()
	noSeq := cmpopts.IgnoreFields(sysv.Perm{}, "Seq")
	for name, diff := range map[string]string{
		"segments": cmp.Diff(collect(t, sysv.Segments()), collect(t, Segments()), noSeq),
		"sets":     cmp.Diff(collect(t, sysv.Sets()), collect(t, Sets()), noSeq),
		"queues":   cmp.Diff(collect(t, sysv.Queues()), collect(t, Queues()), noSeq),
	} {
		if diff != "" {
			t.Errorf("%s (-table +chosen)\n%s", name, diff)
		}
	}
	if got := len(collect(t, Segments())); got != n {
		t.Errorf("%d segments, want %d", got, n)
	}
}

func TestDense(t *testing.T) {
	isolate(t)
	compare(t, 0)
	fill(t, 20)
	compare(t, 20)
	for s, err := range Segments() {
		if err != nil || s.ID != 0 {
			t.Errorf("the first segment is %+v, %v", s, err)
		}
		break // must end the loop
	}
}

// TestSparse has objects at high indices of the kernel's tables.
func TestSparse(t *testing.T) {
	isolate(t)
	fill(t, 3)
	for _, kind := range []string{"shm", "sem", "msg"} {
		if err := os.WriteFile("/proc/sys/kernel/"+kind+"_next_id", []byte(strconv.Itoa(3<<15+20000)), 0); err != nil {
			t.Skipf("kernel without checkpoint and restore: %v", err)
		}
	}
	_, err := sysv.CreateSegment(sysv.Private, 1, nil)
	must(t, err)
	_, err = sysv.CreateSet(sysv.Private, 1, nil)
	must(t, err)
	q, err := sysv.CreateQueue(sysv.Private, nil)
	must(t, err)
	compare(t, 4)
	last := collect(t, Segments())[3]
	if last.ID != 3<<15+20000 || last.Seq != 0 {
		t.Errorf("segment %+v is not from /proc", last)
	}
	if info, err := FindQueue(int(q)); err != nil || info.ID != int(q) || info.QBytes == 0 {
		t.Errorf("FindQueue(%d) = %+v, %v", q, info, err)
	}
}

// TestManySparse: the number in use decides whether a table is sparse.
func TestManySparse(t *testing.T) {
	isolate(t)
	must(t, os.WriteFile("/proc/sys/kernel/shmmni", []byte("4096"), 0))
	var segments []sysv.Segment
	for range 3000 {
		s, err := sysv.CreateSegment(sysv.Private, 1, nil)
		must(t, err)
		segments = append(segments, s)
	}
	fromTable := func() bool { // only the table has a Seq
		for _, s := range collect(t, Segments()) {
			if s.Seq != 0 {
				return true
			}
		}
		return false
	}
	// Recreated objects have a sequence number.
	for i, s := range segments {
		must(t, s.Remove())
		s, err := sysv.CreateSegment(sysv.Private, 1, nil)
		must(t, err)
		segments[i] = s
	}
	if !fromTable() {
		t.Error("a full table is read from /proc")
	}
	compare(t, 3000)
	for i, s := range segments {
		if i%20 != 0 && i != len(segments)-1 {
			must(t, s.Remove())
		}
	}
	if fromTable() {
		t.Error("a table of which a twentieth is in use is walked")
	}
	compare(t, 151)
}

func TestFind(t *testing.T) {
	isolate(t)
	fill(t, 3)
	for _, s := range collect(t, Segments()) {
		if got, err := FindSegment(s.ID); err != nil || !cmp.Equal(got, s) {
			t.Errorf("FindSegment(%d) = %+v, %v; want %+v", s.ID, got, err, s)
		}
	}
	for _, s := range collect(t, Sets()) {
		if got, err := FindSet(s.ID); err != nil || !cmp.Equal(got, s) {
			t.Errorf("FindSet(%d) = %+v, %v; want %+v", s.ID, got, err, s)
		}
	}
	for _, id := range []int{3, 32768, 32769, 1<<31 - 1, -1, -32768} { // 32769 has the index of 1
		_, e1 := FindSegment(id)
		_, e2 := FindSet(id)
		_, e3 := FindQueue(id)
		for _, err := range []error{e1, e2, e3} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("find %d: error %v, want fs.ErrNotExist", id, err)
			}
		}
	}
}

func TestSemaphores(t *testing.T) {
	isolate(t)
	set, err := sysv.CreateSet(sysv.Private, 3, nil)
	must(t, err)
	must(t, set.SetValues([]uint16{7, 0, 32767}))
	got, err := Semaphores(int(set), 3)
	pid := os.Getpid()
	want := []Semaphore{{Value: 7, PID: pid}, {PID: pid}, {Value: 32767, PID: pid}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Semaphores: %v, %v; want %v", got, err, want)
	}
	if _, err := Semaphores(int(set), 4); !errors.Is(err, abi.EINVAL) {
		t.Errorf("Semaphores with one too many: %v", err)
	}
}

func TestBatches(t *testing.T) {
	broken := errors.New("broken")
	for _, n := range []int{0, 1, 63, batch - 1, batch, batch + 1, 5*batch + 7} {
		for _, failure := range []error{nil, broken} {
			var got []int
			err := Batches(func(yield func(int, error) bool) {
				for i := range n {
					if !yield(i, nil) {
						return
					}
				}
				if failure != nil {
					yield(0, failure)
				}
			}, func(many []int) { got = append(got, many...) })
			if !errors.Is(err, failure) || len(got) != n {
				t.Errorf("%d objects: error %v and %d objects, want %v", n, err, len(got), failure)
			}
			for i := range got {
				if got[i] != i {
					t.Fatalf("%d objects: number %d is %d", n, i, got[i])
				}
			}
		}
	}
}
