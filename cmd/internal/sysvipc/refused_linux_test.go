package sysvipc

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// hideProc mounts something else on /proc for the calling thread.
func hideProc() error {
	return errors.Join(
		unix.Unshare(unix.CLONE_FS|unix.CLONE_NEWNS),
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", "/proc", "tmpfs", 0, ""),
	)
}

const nobody = 65534

// everything is everything that this package reports.
type everything struct {
	Segments []sysv.SegmentInfo
	Sets     []sysv.SetInfo
	Queues   []sysv.QueueInfo

	SegmentLimits sysv.SegmentLimits
	SetLimits     sysv.SetLimits
	QueueLimits   sysv.QueueLimits
	SegmentUsage  sysv.SegmentUsage
	SetUsage      sysv.SetUsage
	QueueUsage    sysv.QueueUsage

	errs map[string]error // errors, by field
}

func tellAll() (e everything) {
	e.errs = make(map[string]error)
	var err error
	e.Segments, err = gather(Segments())
	e.note("Segments", err)
	e.Sets, err = gather(Sets())
	e.note("Sets", err)
	e.Queues, err = gather(Queues())
	e.note("Queues", err)
	e.SegmentLimits, err = ShmLimits()
	e.note("SegmentLimits", err)
	e.SetLimits, err = SemLimits()
	e.note("SetLimits", err)
	e.QueueLimits, err = MsgLimits()
	e.note("QueueLimits", err)
	e.SegmentUsage, err = ShmUsage()
	e.note("SegmentUsage", err)
	e.SetUsage, err = SemUsage()
	e.note("SetUsage", err)
	e.QueueUsage, err = MsgUsage()
	e.note("QueueUsage", err)
	return e
}

func (e *everything) note(field string, err error) {
	if err != nil {
		e.errs[field] = err
	}
}

func gather[T any](objects iter.Seq2[T, error]) (all []T, err error) {
	for object, err := range objects {
		if err != nil {
			return all, err
		}
		all = append(all, object)
	}
	return all, nil
}

// differences compares with the truth. Fields with an error may be incomplete.
func (e *everything) differences(truth everything) string {
	ignored := []cmp.Option{
		cmpopts.IgnoreUnexported(everything{}),
		cmpopts.IgnoreFields(sysv.Perm{}, "Seq"), // not in /proc
	}
	for field := range e.errs {
		ignored = append(ignored, cmpopts.IgnoreFields(everything{}, field))
	}
	return cmp.Diff(truth, *e, ignored...)
}

// TestRefused refuses every combination of commands, with every error that policies and
// old kernels use, to root and to an ordinary user without permissions. With /proc
// everything is found, except limits of queues, which are then reported as unknown.
func TestRefused(t *testing.T) {
	needFilter(t)
	ipctest.NeedOtherUsers(t)
	fillForRefusal(t)
	truth := tellAll()
	if len(truth.errs) > 0 {
		t.Fatal(truth.errs)
	}
	for groups := range ipctest.AllCommands {
		for _, e := range []unix.Errno{unix.EPERM, unix.EACCES, unix.EINVAL, unix.ENOSYS} {
			for _, uid := range []int{0, nobody} {
				name := fmt.Sprintf("%v refused as %v to %d", groups, e, uid)
				ipctest.OnThread(func() {
					if err := errors.Join(ipctest.Refuse(groups, e), ipctest.Become(uid)); err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
					// Some command must report the limits of queues.
					known := groups&ipctest.StatAny == 0 || groups&ipctest.IPCStat == 0 && uid == 0
					checkRefused(t, name, truth, known)
				})
			}
		}
	}
}

func checkRefused(t *testing.T, name string, truth everything, known bool) {
	t.Helper()
	got := tellAll()
	if !known {
		var incomplete *Incomplete
		if err := got.errs["Queues"]; !errors.As(err, &incomplete) {
			t.Errorf("%s: the error of Queues is %v, want an *Incomplete", name, err)
		}
		delete(got.errs, "Queues")
		for i := range got.Queues {
			if got.Queues[i].QBytes != UnknownQBytes {
				t.Errorf("%s: a queue has a limit of %d bytes, want unknown", name, got.Queues[i].QBytes)
			}
			got.Queues[i].QBytes = truth.Queues[i].QBytes
		}
	}
	if len(got.errs) > 0 {
		t.Errorf("%s: %v", name, got.errs)
	}
	if diff := got.differences(truth); diff != "" {
		t.Errorf("%s (-want +got)\n%s", name, diff)
	}
	for _, want := range truth.Segments {
		found, err := FindSegment(want.ID)
		if diff := cmp.Diff(want, found, cmpopts.IgnoreFields(sysv.Perm{}, "Seq")); err != nil || diff != "" {
			t.Errorf("%s: FindSegment: %v (-want +got)\n%s", name, err, diff)
		}
	}
	if _, err := FindQueue(1<<31 - 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: the error of a queue that does not exist is %v", name, err)
	}
}

// TestRefusedWithoutProc: whatever is reported is true, and whatever is missing is an
// error.
func TestRefusedWithoutProc(t *testing.T) {
	needFilter(t)
	ipctest.NeedOtherUsers(t)
	fillForRefusal(t)
	truth := tellAll()
	for groups := range ipctest.AllCommands {
		for _, e := range []unix.Errno{unix.EPERM, unix.EINVAL} {
			for _, uid := range []int{0, nobody} {
				name := fmt.Sprintf("%v refused as %v to %d without /proc", groups, e, uid)
				ipctest.OnThread(func() {
					if err := errors.Join(hideProc(), ipctest.Refuse(groups, e), ipctest.Become(uid)); err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
					got := tellAll()
					if diff := got.differences(truth); diff != "" {
						t.Errorf("%s (-want +got)\n%s", name, diff)
					}
					if groups&^ipctest.IPCStat == 0 && len(got.errs) > 0 {
						t.Errorf("%s: %v", name, got.errs)
					}
					for _, q := range got.Queues {
						if q.QBytes == 0 {
							t.Errorf("%s: the limit of queue %d is 0", name, q.ID)
						}
					}
					found, err := FindSegment(truth.Segments[0].ID)
					if err == nil && found.Size != truth.Segments[0].Size || errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%s: FindSegment: %+v, %v", name, found, err)
					}
				})
			}
		}
	}
}

// fillForRefusal makes objects in the tests' namespace, until the end of the test.
func fillForRefusal(t *testing.T) {
	t.Helper()
	fill(t, 3)
	t.Cleanup(func() {
		for _, kind := range []sysv.Kind{sysv.Shm, sysv.Sem, sysv.Msg} {
			removeKind(t, kind)
		}
	})
	// Only root may read these.
	for _, s := range collect(t, Segments()) {
		must(t, sysv.Segment(s.ID).SetOwnership(sysv.Ownership{}))
	}
	for _, s := range collect(t, Sets()) {
		must(t, sysv.Set(s.ID).SetOwnership(sysv.Ownership{}))
	}
	for _, q := range collect(t, Queues()) {
		must(t, sysv.Queue(q.ID).SetOwnership(sysv.Ownership{}, q.QBytes))
	}
}

func removeKind(t *testing.T, kind sysv.Kind) {
	t.Helper()
	var ids []int
	switch kind {
	case sysv.Shm:
		for _, s := range collect(t, Segments()) {
			ids = append(ids, s.ID)
		}
	case sysv.Sem:
		for _, s := range collect(t, Sets()) {
			ids = append(ids, s.ID)
		}
	case sysv.Msg:
		for _, q := range collect(t, Queues()) {
			ids = append(ids, q.ID)
		}
	}
	for _, id := range ids {
		must(t, Remove(kind, id))
	}
}

// needFilter skips a test where ipctest.Refuse refuses nothing: on 386, package abi calls
// ipc(2), and a filter cannot see the command, which that call passes in memory.
func needFilter(t *testing.T) {
	t.Helper()
	if runtime.GOARCH == "386" {
		t.Skip("32-bit programs on x86 make these calls by ipc(2), which the filter does not know")
	}
}
