package inventory

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// sameAlone collects each object alone, and compares what is found out with what Collect
// finds out about all of them, which it returns.
func sameAlone(t *testing.T) *Inventory {
	t.Helper()
	o := Options{Want: everything | WantOwner, HiddenIdle: true}
	inv := collectAll(t, o)
	for i := range inv.Objects {
		want := &inv.Objects[i]
		one, err := CollectOne(want.Ref(), o)
		if err != nil {
			t.Fatal(err)
		}
		got := one.find(want.Kind, want.ID())
		if want.Kind.POSIX() {
			got = findPOSIX(t, one, want.Kind, want.File().Name)
		}
		for _, u := range []*Use{want.Use, got.Use} {
			u.Reasons = u.Reasons[:len(u.Reasons)-1] // the age
			for i := range u.Waiting {
				u.Waiting[i].Since = time.Time{}
			}
		}
		if diff := cmp.Diff(want.Use, got.Use, cmpopts.EquateErrors(), cmpopts.IgnoreFields(Actor{}, "Started")); diff != "" {
			t.Errorf("%v (-all +one):\n%s", want.Ref(), diff)
		}
	}
	return inv
}

// TestCollectOne: from one object alone, its family, the neighbours that show it is
// faked's, and a deadlock are found.
func TestCollectOne(t *testing.T) {
	maker := ipctest.Start(t, "make", nil)
	ids := numbers(strings.Fields(maker.Line()))
	seg, set, queue := sysv.Segment(ids[0]), sysv.Set(ids[1]), sysv.Queue(ids[2])
	t.Cleanup(func() { remove(t, seg); remove(t, set); remove(t, queue) })
	maker.Tell("end")
	maker.Wait()
	if _, err := set.TryDo(sysv.Op{Num: 0, Add: -1}); err != nil {
		t.Fatal(err)
	}
	wantVerdict(t, find(t, sameAlone(t), ref.Shm, int(seg)), Unknown, "not-attached process-gone family-alive")

	createQueue(t, 0x701, 0o600)
	createQueue(t, 0x702, 0o600)
	faked := createSet(t, 0x703, 0o600, 1)
	lock, other := createSet(t, sysv.Private, 0o600, 1), createSet(t, sysv.Private, 0o600, 1)
	a, b := start(t, "lock two", nil, int(lock), 0, int(other), 0), start(t, "lock two", nil, int(other), 0, int(lock), 0)
	a.Tell("go on")
	b.Tell("go on")
	start(t, "attach", nil, "ro", int(createSegment(t, sysv.Private, 4096, 0o600)))
	makePOSIX(t, "/one", 0o600)
	await(t, Options{Want: WantWaiting}, waiting(ref.Sem, int(lock), 1))
	await(t, Options{Want: WantWaiting}, waiting(ref.Sem, int(other), 1))
	inv := sameAlone(t)
	if p := find(t, inv, ref.Sem, int(faked)).Use.Program; p == nil || p.Name != "fakeroot" {
		t.Errorf("program %v, want fakeroot", p)
	}
	one, err := CollectOne(ref.Object{Kind: ref.Sem, ID: int(lock)}, Options{Want: WantWaiting})
	if err != nil || len(one.Deadlocks) != 1 {
		t.Errorf("%v, %s", err, dump(one))
	}
}

func TestCollectOneThatIsGone(t *testing.T) {
	gone := ref.Object{Kind: ref.Msg, ID: 0x7fffffff}
	if inv, err := CollectOne(gone, Options{Want: WantVerdict}); err != nil || len(inv.Objects) != 0 {
		t.Errorf("%v, %s", err, dump(inv))
	}
	if _, err := Look(gone); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Look: %v", err)
	}
}
