package inventory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
)

// playFurnish makes an object of each POSIX kind in a /dev/shm and a /dev/mqueue of its
// own, and has the memory open.
func playFurnish(args []string) error {
	for dir, kind := range map[string]string{devShm: "tmpfs", devMqueue: "mqueue"} {
		if err := unix.Mount(kind, dir, kind, 0, ""); err != nil {
			return err
		}
	}
	if _, err := posix.CreateObject(args[0], 8192, &posix.ObjectOptions{Mode: 0o600}); err != nil {
		return err
	}
	if s, err := posix.CreateSemaphore(args[0], 3, &posix.SemaphoreOptions{Mode: 0o600}); err != nil {
		return err
	} else if err := s.Close(); err != nil {
		return err
	}
	if q, err := posix.CreateQueue(args[0], &posix.QueueOptions{Mode: 0o600}); err != nil {
		return err
	} else if err := q.Close(); err != nil {
		return err
	}
	fmt.Println("furnished")
	ipctest.Told()
	return nil
}

// playFUSE mounts on a directory a file system whose server does not answer. It fails if the
// test asks the server for anything.
func playFUSE(args []string) error {
	device := filepath.Join(args[1], "fuse")
	if err := unix.Mknod(device, unix.S_IFCHR|0o600, int(unix.Mkdev(10, 229))); err != nil {
		return err
	}
	// Until it is mounted the device polls as broken, which os.OpenFile would remember.
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	server := os.NewFile(uintptr(fd), device)
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", server.Fd())
	if err := unix.Mount("none", args[0], "fuse", 0, options); err != nil {
		return err
	}
	request := make([]byte, 1<<20)
	n, err := server.Read(request)
	if err != nil {
		return err
	}
	// struct fuse_in_header, fuse_out_header and fuse_init_out
	const unique, version, initialized = 8, 7, 64
	reply := make([]byte, 16+initialized)
	binary.NativeEndian.PutUint32(reply, uint32(len(reply)))
	copy(reply[unique:16], request[unique:16])
	binary.NativeEndian.PutUint32(reply[16:], version)
	binary.NativeEndian.PutUint32(reply[20:], 31)
	if _, err := server.Write(reply); err != nil {
		return err
	}
	fmt.Println("mounted")
	told := make(chan bool)
	go func() { ipctest.Told(); close(told) }()
	asked := make(chan uint32, 1)
	go func() {
		for {
			if n, err = server.Read(request); err != nil {
				return
			}
			thread := binary.NativeEndian.Uint32(request[32:n])
			if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", os.Getppid(), thread)); err == nil {
				asked <- binary.NativeEndian.Uint32(request[4:])
			}
		}
	}()
	select {
	case <-told:
		return nil
	case operation := <-asked:
		return fmt.Errorf("the server was asked: operation %d", operation)
	}
}

var apart = []string{"unshare", "--ipc", "--mount"}

func placeOf(t *testing.T, pid int) Place {
	t.Helper()
	p, err := PlaceOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// lookAt collects the POSIX objects of a place, none if it has gone away.
func lookAt(t *testing.T, p Place) (inv *Inventory, sight Sight) {
	t.Helper()
	err := p.Do(func(s Sight) (err error) {
		sight = s
		inv, err = Collect(Options{Kinds: s.Kinds, Partial: true, Missing: s.Missing, Want: WantVerdict, HiddenIdle: true})
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return &Inventory{}, sight
	}
	if err != nil {
		t.Fatal(err)
	}
	return inv, sight
}

func TestPlace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	makePOSIX(t, "/ours", 0o600)
	inside := startApart(t, "furnish", apart, "/theirs")
	inside.Line()
	p := placeOf(t, inside.PID())
	inv, sight := lookAt(t, p)
	if len(inv.Objects) != 3 || len(inv.Unlisted) > 0 || !sight.OtherShm || len(sight.Missing) > 0 {
		t.Error(dump(inv), dump(sight))
	}
	wantVerdict(t, findPOSIX(t, inv, ref.PShm, "/theirs"), InUse, "open age")
	wantVerdict(t, findPOSIX(t, inv, ref.PSem, "/theirs"), Orphan, "not-open age")
	wantVerdict(t, findPOSIX(t, inv, ref.PMsg, "/theirs"), Orphan, "not-open age")

	// This process has stayed where it was, and needs no rights to enter its own place.
	own := placeOf(t, os.Getpid())
	if inv, sight := lookAt(t, own); len(inv.Objects) != 3 || sight.OtherShm {
		t.Error(dump(inv))
	} else {
		findPOSIX(t, inv, ref.PShm, "/ours")
	}

	// A namespace whose processes see our /dev/shm still has queues of its own.
	shares := startApart(t, "make", []string{"unshare", "--ipc"})
	shares.Line()
	inv, _ = lookAt(t, placeOf(t, shares.PID()))
	findPOSIX(t, inv, ref.PShm, "/ours")
	if slices.ContainsFunc(inv.Objects, func(o Object) bool { return o.Kind == ref.PMsg }) {
		t.Error(dump(inv))
	}

	inside.Kill()
	if err := p.Do(func(Sight) error { return nil }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a place that is gone: %v", err)
	}
}

// TestPlaces: each object is in exactly one place.
func TestPlaces(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	makePOSIX(t, "/ours", 0o600)
	startApart(t, "furnish", apart, "/theirs").Line()
	startApart(t, "make", []string{"unshare", "--ipc"}).Line() // sees our /dev/shm
	places, _, err := Places("")
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for _, p := range places {
		inv, _ := lookAt(t, p)
		for i := range inv.Objects {
			if o := &inv.Objects[i]; o.Kind.POSIX() {
				count[o.Ref().String()]++
			}
		}
	}
	for _, kind := range ref.POSIX() {
		for _, name := range []string{"/ours", "/theirs"} {
			if n := count[ref.Object{Kind: kind, Name: name}.String()]; n != 1 {
				t.Errorf("%v:%s is in %d places of %s", kind, name, n, dump(places))
			}
		}
	}
}

// TestPlaceThatHangs: a file system at or above /dev/shm that may not answer is never
// asked.
func TestPlaceThatHangs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if _, err := os.Stat("/sys/fs/fuse"); err != nil {
		t.Skip("the kernel has no FUSE")
	}
	for at, why := range map[string]string{"/dev": "may not answer", "/dev/shm": "is no tmpfs"} {
		t.Run(at, func(t *testing.T) { lookAtHanging(t, at, why) })
	}
}

func lookAtHanging(t *testing.T, at, why string) {
	server := startApart(t, "fuse", apart, at, t.TempDir())
	server.Line()
	began := time.Now()
	err := placeOf(t, server.PID()).Do(func(s Sight) error {
		if err := s.Missing[ref.PShm]; err == nil || !strings.Contains(err.Error(), why) || s.Missing[ref.PMsg] != nil {
			t.Errorf("%v, %v", err, s.Missing[ref.PMsg])
		}
		inv, err := Collect(Options{Kinds: s.Kinds, Missing: s.Missing, Partial: true})
		if err == nil && len(inv.Unlisted) != 2 {
			t.Error(dump(inv))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("it took %v", took)
	}
	places, _, err := Places("")
	if err != nil || !slices.ContainsFunc(places, func(p Place) bool { return p.PID == server.PID() && p.shm != nil }) {
		t.Errorf("%v, %s", err, dump(places))
	}
	server.End()
}

// TestPlaceWithoutProcess: a namespace that is only mounted shows its queues, and no
// /dev/shm is taken for one that belongs to it.
func TestPlaceWithoutProcess(t *testing.T) {
	makePOSIX(t, "/ours", 0o600)
	err := nowhere(Namespace{Inode: namespaceOf(t, os.Getpid()).Inode, Own: true}).Do(func(s Sight) error {
		if err := s.Missing[ref.PShm]; !errors.Is(err, fs.ErrNotExist) || s.Missing[ref.PSem] == nil || !s.OtherShm {
			t.Error(dump(s))
		}
		// A caller that asks nevertheless sees nothing.
		for o, err := range posix.Objects() {
			t.Error(dump(o), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestForeignQueues: an empty file system that shows another namespace is not taken for an
// empty one of this namespace.
func TestForeignQueues(t *testing.T) {
	inv := collectAll(t, Options{Kinds: []ref.Kind{ref.PMsg}})
	if len(inv.Objects)+len(inv.Unlisted) > 0 {
		t.Error(dump(inv))
	}
	var err, apart error
	onThrowawayThread(func() {
		if apart = unix.Unshare(unix.CLONE_NEWIPC); apart == nil {
			_, err = Collect(Options{Kinds: []ref.Kind{ref.PMsg}})
		}
	})
	if apart != nil {
		t.Skip(apart)
	}
	if !errors.Is(err, ErrForeignQueues) {
		t.Errorf("%v, want %v", err, ErrForeignQueues)
	}
}

func TestMapsUser(t *testing.T) {
	const rootless = "         0       1000          1\n         1     100000      65536\n"
	for _, tt := range []struct {
		text string
		uid  uint32
		want bool
	}{
		{rootless, 1000, true},
		{rootless, 999, false},
		{rootless, 1001, false},
		{rootless, 0, false},
		{rootless, 100000, true},
		{rootless, 165535, true},
		{rootless, 165536, false},
		{"0 0 4294967295\n", 0, true},
		{"0 1 4294967295\n", 4294967295, true},
		{"", 0, false},
		{"0 0\n", 0, false},
		{"0 0 x\n", 0, false},
	} {
		if got := mapsUser([]byte(tt.text), tt.uid); got != tt.want {
			t.Errorf("%q maps %d: %v, want %v", tt.text, tt.uid, got, tt.want)
		}
	}
}

func TestContainerProcess(t *testing.T) {
	f := newFakeProc(t, time.Now())
	a, b, c := strings.Repeat("a", 64), "a"+strings.Repeat("b", 63), strings.Repeat("c", 64)
	for pid, group := range map[int]string{
		10: "/system.slice/docker-" + a + ".scope/init",
		11: "/system.slice/docker-" + a + ".scope",
		12: "/system.slice/docker-" + b + ".scope",
		13: "/user.slice/user-1000.slice/docker-" + c + ".scope",
		14: "/system.slice/docker-" + c + ".scope",
		15: "/machine.slice/libpod-" + a + ".scope",
		16: "/lxc/web",
		17: "/lxc/web2",
		18: "/system.slice/ssh.service",
	} {
		f.process(pid, "x", os.Getuid(), 0, time.Duration(100-pid)*time.Second, fakeNamespace, "")
		f.write(fmt.Sprintf("%d/cgroup", pid), "0::"+group+"\n")
	}
	for name, want := range map[string]int{
		"docker:" + a:       11, // it was started before 10
		"docker:" + a[:12]:  11,
		"docker:" + b[:2]:   12,
		"docker:" + a[:1]:   0,
		b[:12]:              12,
		a[:12]:              0, // docker's or podman's
		"podman:" + a[:12]:  15,
		"docker:" + c:       0, // anybody may give a control group this name
		"lxc:web":           16,
		"lxc:we":            0,
		"lxc:web2":          17,
		"docker:" + c + "c": 0,
		"docker:":           0,
	} {
		if pid, err := ContainerProcess(f.root, name); pid != want || (err == nil) != (want != 0) {
			t.Errorf("%s: %d, %v; want %d", name, pid, err, want)
		}
	}
}
