package sysv_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
	"golang.org/x/sys/unix"
)

// Requirements of an operation: permission bits, or ownership, which no permission bit can
// replace.
const (
	r     = 4
	w     = 2
	x     = 1
	owner = 8
)

// An attempt is an operation on an object. It must leave the object unchanged for later
// attempts.
type attempt struct {
	kind  sysv.Kind
	name  string
	needs int
	make  func(id int, key sysv.Key) error
}

// attempts returns every operation on every kind of object.
func attempts() []attempt {
	drop := func(_ any, err error) error { return err }
	attach := func(id int, o *sysv.AttachOptions) error {
		a, err := sysv.Segment(id).Attach(o)
		if err != nil {
			return err
		}
		return a.Detach()
	}
	do := func(id int, add int16) error {
		return sysv.Set(id).Do(context.Background(), sysv.Op{Add: add, NoWait: true})
	}
	ownership := sysv.Ownership{UID: 1001, GID: 1001}
	return []attempt{
		{sysv.Shm, "Stat", r, func(id int, _ sysv.Key) error { return drop(sysv.Segment(id).Stat()) }},
		{sysv.Shm, "StatAny", 0, func(id int, _ sysv.Key) error { return drop(sysv.Segment(id).StatAny()) }},
		{sysv.Shm, "Attach for reading", r, func(id int, _ sysv.Key) error { return attach(id, &sysv.AttachOptions{ReadOnly: true}) }},
		{sysv.Shm, "Attach", r | w, func(id int, _ sysv.Key) error { return attach(id, nil) }},
		{sysv.Shm, "Attach for execution", r | x, func(id int, _ sysv.Key) error { return attach(id, &sysv.AttachOptions{ReadOnly: true, Exec: true}) }},
		{sysv.Shm, "Open", 0, func(_ int, key sysv.Key) error { return drop(sysv.OpenSegment(key)) }},
		{sysv.Shm, "OpenOrCreate", r, func(_ int, key sysv.Key) error {
			_, _, err := sysv.OpenOrCreateSegment(key, 1, &sysv.SegmentOptions{AnyOwner: true})
			return err
		}},
		{sysv.Shm, "Lock", owner, func(id int, _ sysv.Key) error { return sysv.Segment(id).Lock() }},
		{sysv.Shm, "Unlock", owner, func(id int, _ sysv.Key) error { return sysv.Segment(id).Unlock() }},
		{sysv.Shm, "Set", owner, func(id int, _ sysv.Key) error { return sysv.Segment(id).SetOwnership(ownership) }},
		{sysv.Shm, "Remove", owner, func(id int, _ sysv.Key) error { return sysv.Segment(id).Remove() }},

		{sysv.Sem, "Stat", r, func(id int, _ sysv.Key) error { return drop(sysv.Set(id).Stat()) }},
		{sysv.Sem, "StatAny", 0, func(id int, _ sysv.Key) error { return drop(sysv.Set(id).StatAny()) }},
		{sysv.Sem, "Value", r, func(id int, _ sysv.Key) error { return drop(sysv.Set(id).Value(0)) }},
		{sysv.Sem, "Values", r, func(id int, _ sysv.Key) error { return drop(sysv.Set(id).Values()) }},
		{sysv.Sem, "PID", r, func(id int, _ sysv.Key) error { return drop(sysv.Set(id).PID(0)) }},
		{sysv.Sem, "NCount", r, func(id int, _ sysv.Key) error { return drop(sysv.Set(id).NCount(0)) }},
		{sysv.Sem, "ZCount", r, func(id int, _ sysv.Key) error { return drop(sysv.Set(id).ZCount(0)) }},
		{sysv.Sem, "wait for zero", r, func(id int, _ sysv.Key) error { return do(id, 0) }},
		{sysv.Sem, "add", w, func(id int, _ sysv.Key) error { return errors.Join(do(id, 1), sysv.Set(id).SetValue(0, 0)) }},
		{sysv.Sem, "SetValue", w, func(id int, _ sysv.Key) error { return sysv.Set(id).SetValue(0, 0) }},
		{sysv.Sem, "SetValues", r | w, func(id int, _ sysv.Key) error { return sysv.Set(id).SetValues([]uint16{0}) }},
		{sysv.Sem, "Open", 0, func(_ int, key sysv.Key) error { return drop(sysv.OpenSet(key)) }},
		{sysv.Sem, "OpenOrCreate", r, func(_ int, key sysv.Key) error {
			_, _, err := sysv.OpenOrCreateSet(context.Background(), key, []uint16{0}, &sysv.SetOptions{AnyOwner: true})
			return err
		}},
		{sysv.Sem, "Set", owner, func(id int, _ sysv.Key) error { return sysv.Set(id).SetOwnership(ownership) }},
		{sysv.Sem, "Remove", owner, func(id int, _ sysv.Key) error { return sysv.Set(id).Remove() }},

		{sysv.Msg, "Stat", r, func(id int, _ sysv.Key) error { return drop(sysv.Queue(id).Stat()) }},
		{sysv.Msg, "StatAny", 0, func(id int, _ sysv.Key) error { return drop(sysv.Queue(id).StatAny()) }},
		{sysv.Msg, "Send", w, func(id int, _ sysv.Key) error { return sysv.Queue(id).Send(context.Background(), 1, nil) }},
		{sysv.Msg, "Receive", r, func(id int, _ sysv.Key) error {
			_, _, _, err := sysv.Queue(id).TryReceive(nil, sysv.ReceiveOptions{})
			return err
		}},
		{sysv.Msg, "Peek", r, func(id int, _ sysv.Key) error {
			_, _, _, err := sysv.Queue(id).Peek(0, nil, true)
			return err
		}},
		{sysv.Msg, "Open", 0, func(_ int, key sysv.Key) error { return drop(sysv.OpenQueue(key)) }},
		{sysv.Msg, "OpenOrCreate", r, func(_ int, key sysv.Key) error {
			_, _, err := sysv.OpenOrCreateQueue(key, &sysv.QueueOptions{AnyOwner: true})
			return err
		}},
		{sysv.Msg, "Set", owner, func(id int, _ sysv.Key) error { return sysv.Queue(id).SetOwnership(ownership, 100) }},
		{sysv.Msg, "Remove", owner, func(id int, _ sysv.Key) error { return sysv.Queue(id).Remove() }},
	}
}

// playAttempt is told "NUMBER ID KEY", makes that attempt, and prints its error
// number, 0 if it succeeded.
func playAttempt([]string) error {
	all := attempts()
	for {
		var number, id int
		var key sysv.Key
		if _, err := fmt.Sscan(ipctest.Told(), &number, &id, &key); err != nil {
			return err
		}
		e := unix.Errno(0)
		if err := all[number].make(id, key); err != nil && !errors.As(err, &e) {
			return err
		}
		fmt.Println(int(e))
	}
}

// TestPermissions lets each class of users attempt each operation on objects of each mode.
// The other classes have the opposite bits, so the test fails if a user is treated as one
// of another class.
func TestPermissions(t *testing.T) {
	requireUsers(t)
	classes := []struct {
		name  string
		who   *syscall.Credential
		shift int
	}{
		{"owner", &syscall.Credential{Uid: 1001, Gid: 3003}, 6},
		{"group", &syscall.Credential{Uid: 2002, Gid: 1001}, 3},
		{"supplementary group", &syscall.Credential{Uid: 2002, Gid: 3003, Groups: []uint32{4004, 1001}}, 3},
		{"other", &syscall.Credential{Uid: 2002, Gid: 3003}, 0},
	}
	all := attempts()
	count := 0
	for _, class := range classes {
		p := ipctest.Start(t, "attempt", class.who)
		for granted := range 8 {
			mode := fs.FileMode(0o777&^(7<<class.shift) | granted<<class.shift)
			if granted != 0 {
				mode = fs.FileMode(granted << class.shift)
			}
			objects := makeObjects(t, sysv.Ownership{UID: 1001, GID: 1001, Mode: mode})
			for i, a := range all {
				allowed := a.needs&owner == 0 && granted&a.needs == a.needs || a.needs&owner != 0 && class.name == "owner"
				want := unix.Errno(0)
				switch {
				case !allowed && a.needs&owner != 0:
					want = unix.EPERM
				case !allowed:
					want = unix.EACCES
				}
				p.Tell(fmt.Sprint(i, int(objects.id[a.kind]), int(permKey)))
				if got, _ := strconv.Atoi(p.Line()); unix.Errno(got) != want {
					t.Errorf("%s, mode %04o, %v %s: error %q, want %q", class.name, mode, a.kind, a.name, unix.Errno(got), want)
				}
				count++
				if allowed && a.needs&owner != 0 { // Set and Remove changed it
					objects.remake(t)
				}
			}
			objects.remove(t)
		}
		p.End()
	}
	t.Logf("%d attempts", count)
}

// TestRootMayEverything attempts everything on objects that grant nothing.
func TestRootMayEverything(t *testing.T) {
	requireUsers(t)
	const capIPCOwner = 15
	if !capable(t, capIPCOwner) {
		t.Skip("needs CAP_IPC_OWNER")
	}
	objects := makeObjects(t, sysv.Ownership{UID: 1001, GID: 1001})
	for _, a := range attempts() {
		if ipctest.UnderQEMU() && strings.HasSuffix(a.name, "StatAny") {
			continue // qemu does not know it
		}
		wantError(t, fmt.Sprintf("%v %s", a.kind, a.name), a.make(objects.id[a.kind], permKey), nil)
		if a.needs&owner != 0 {
			objects.remake(t)
		}
	}
	objects.remove(t)
}

// TestCreatorKeepsRights gives an object away; its creator may still take it back.
func TestCreatorKeepsRights(t *testing.T) {
	requireUsers(t)
	p := ipctest.Start(t, "create", &syscall.Credential{Uid: 1001, Gid: 1001})
	var ids [3]int
	if _, err := fmt.Sscan(p.Line(), &ids[0], &ids[1], &ids[2]); err != nil {
		t.Fatal(err)
	}
	seg, set, queue := sysv.Segment(ids[0]), sysv.Set(ids[1]), sysv.Queue(ids[2])
	away := sysv.Ownership{UID: 2002, GID: 2002, Mode: 0o600}
	check(t, errors.Join(seg.SetOwnership(away), set.SetOwnership(away), queue.SetOwnership(away, 100)))
	p.Tell("take back")
	if got := p.Line(); got != "taken back" {
		t.Errorf("the creator says %q", got)
	}
	info, err := seg.Stat()
	if err != nil || info.UID != 1001 || info.CUID != 1001 {
		t.Errorf("owner %d, creator %d, %v, want 1001", info.UID, info.CUID, err)
	}
	p.End()
	remove(t, seg)
	remove(t, set)
	remove(t, queue)
}

// playCreate makes an object of each kind, prints their identifiers and, when told,
// becomes their owner again.
func playCreate([]string) error {
	seg, err1 := sysv.CreateSegment(sysv.Private, 1, nil)
	set, err2 := sysv.CreateSet(sysv.Private, 1, nil)
	queue, err3 := sysv.CreateQueue(sysv.Private, nil)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	fmt.Println(int(seg), int(set), int(queue))
	ipctest.Told()
	mine := sysv.Ownership{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Mode: 0o600}
	if err := errors.Join(seg.SetOwnership(mine), set.SetOwnership(mine), queue.SetOwnership(mine, 100)); err != nil {
		return err
	}
	fmt.Println("taken back")
	ipctest.Told()
	return nil
}

const permKey sysv.Key = 0x9e4

// objects holds one object of each kind.
type objects struct {
	ownership sysv.Ownership
	id        [3]int
}

func makeObjects(t *testing.T, o sysv.Ownership) *objects {
	t.Helper()
	objects := &objects{ownership: o, id: [3]int{-1, -1, -1}}
	objects.remake(t)
	return objects
}

// remake creates the missing objects and gives all of them the ownership.
func (o *objects) remake(t *testing.T) {
	t.Helper()
	seg, _, err1 := sysv.OpenOrCreateSegment(permKey, 1, &sysv.SegmentOptions{AnyOwner: true})
	set, _, err2 := sysv.OpenOrCreateSet(t.Context(), permKey, []uint16{0}, &sysv.SetOptions{AnyOwner: true})
	queue, _, err3 := sysv.OpenOrCreateQueue(permKey, &sysv.QueueOptions{AnyOwner: true})
	check(t, errors.Join(err1, err2, err3))
	o.id = [3]int{int(seg), int(set), int(queue)}
	check(t, errors.Join(seg.SetOwnership(o.ownership), set.SetOwnership(o.ownership), queue.SetOwnership(o.ownership, 100)))
	for { // take what Send left
		if _, _, ok, err := queue.TryReceive(nil, sysv.ReceiveOptions{Truncate: true}); !ok || err != nil {
			return
		}
	}
}

func (o *objects) remove(t *testing.T) {
	t.Helper()
	remove(t, sysv.Segment(o.id[sysv.Shm]))
	remove(t, sysv.Set(o.id[sysv.Sem]))
	remove(t, sysv.Queue(o.id[sysv.Msg]))
}

// TestAttemptsAreAll checks that the matrix leaves out no method.
func TestAttemptsAreAll(t *testing.T) {
	var names []string
	for _, a := range attempts() {
		names = append(names, a.kind.String()+" "+strings.Fields(a.name)[0])
	}
	for _, want := range []string{
		"shm Stat", "shm Attach", "shm Open", "shm OpenOrCreate", "shm Lock", "shm Unlock", "shm Set", "shm Remove",
		"sem Stat", "sem Value", "sem Values", "sem PID", "sem NCount", "sem ZCount", "sem SetValue", "sem SetValues", "sem Open", "sem OpenOrCreate", "sem Set", "sem Remove",
		"msg Stat", "msg Send", "msg Receive", "msg Peek", "msg Open", "msg OpenOrCreate", "msg Set", "msg Remove",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("nobody attempts %s", want)
		}
	}
}
