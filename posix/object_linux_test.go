package posix_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
)

// create creates an object until the end of the test.
func create(t testing.TB, name string, size int64) *posix.Object {
	t.Helper()
	o, err := posix.CreateObject(name, size, nil)
	must(t, err)
	t.Cleanup(func() {
		o.Close()
		if err := posix.UnlinkObject(name); !errors.Is(err, fs.ErrNotExist) {
			must(t, err)
		}
	})
	return o
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// TestBadNames checks names that no object can have, and what each call says about them.
func TestBadNames(t *testing.T) {
	calls := map[string]func(name string) error{
		"CreateObject": func(name string) error {
			_, err := posix.CreateObject(name, 1, nil)
			return err
		},
		"OpenObject":   func(name string) error { _, err := posix.OpenObject(name, posix.ReadWrite); return err },
		"UnlinkObject": posix.UnlinkObject,
		"CreateSemaphore": func(name string) error {
			_, err := posix.CreateSemaphore(name, 1, nil)
			return err
		},
		"OpenSemaphore":   func(name string) error { _, err := posix.OpenSemaphore(name); return err },
		"UnlinkSemaphore": posix.UnlinkSemaphore,
		"CreateQueue": func(name string) error {
			_, err := posix.CreateQueue(name, nil)
			return err
		},
		"OpenQueue":   func(name string) error { _, err := posix.OpenQueue(name, posix.ReadWrite); return err },
		"UnlinkQueue": posix.UnlinkQueue,
	}
	for _, tt := range []struct {
		name string
		want error
		says string
	}{
		{"", unix.EINVAL, "the name is empty"},
		{"/", unix.EINVAL, "the name is empty"},
		{"//", unix.EINVAL, "a slash is allowed only at the beginning"},
		{"//x", unix.EINVAL, "a slash is allowed only at the beginning"},
		{"/x/y", unix.EINVAL, "a slash is allowed only at the beginning"},
		{"/x/", unix.EINVAL, "a slash is allowed only at the beginning"},
		{"/../x", unix.EINVAL, "a slash is allowed only at the beginning"},
		{"/x\x00y", unix.EINVAL, "NUL"},
		{"/" + strings.Repeat("x", 256), unix.ENAMETOOLONG, "256 bytes"},
		{strings.Repeat("ä", 128), unix.ENAMETOOLONG, "256 bytes"},
	} {
		for call, f := range calls {
			err := f(tt.name)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s(%.20q): %v, want %v: %s", call, tt.name, err, tt.want, tt.says)
			}
		}
	}
	// A semaphore may have such a name, because its file is sem. and the name.
	for _, name := range []string{".", "..", "/."} {
		for _, call := range []string{"CreateObject", "OpenObject", "UnlinkObject", "CreateQueue"} {
			wantErr(t, calls[call](name), unix.EINVAL)
		}
	}
	wantErr(t, calls["OpenSemaphore"]("/."), fs.ErrNotExist)
	wantErr(t, calls["CreateSemaphore"](strings.Repeat("x", 252)), unix.ENAMETOOLONG)
}

func TestLongestNames(t *testing.T) {
	name := strings.Repeat("x", 255)
	create(t, name, 1)
	s, err := posix.CreateSemaphore(name[:251], 0, nil)
	must(t, err)
	must(t, s.Close())
	must(t, posix.UnlinkSemaphore(name[:251]))
	createQueue(t, name, nil)
}

// The leading slash makes no difference, as in the C library.
func TestNameWithoutSlash(t *testing.T) {
	create(t, "sample", 100)
	o, err := posix.OpenObject("/sample", posix.ReadOnly)
	must(t, err)
	defer o.Close()
	if o.Name() != "/sample" {
		t.Errorf("Name() = %q", o.Name())
	}
}

func TestCreateObject(t *testing.T) {
	old := unix.Umask(0o027)
	defer unix.Umask(old)
	o, err := posix.CreateObject("/x", 5000, &posix.ObjectOptions{Mode: 0o666})
	must(t, err)
	defer func() {
		o.Close()
		must(t, posix.UnlinkObject("/x"))
	}()
	info, err := o.Stat()
	must(t, err)
	if info.Name != "/x" || info.Size != 5000 || info.Memory != 0 || info.Links != 1 || info.UID != uint32(os.Getuid()) {
		t.Errorf("Stat = %+v", info)
	}
	if info.Mode != 0o640 {
		t.Errorf("mode %v, want 0640: 0666 less the umask 027", info.Mode)
	}
	must(t, o.Chmod(0o606))
	if info, _ := o.Stat(); info.Mode != 0o606 {
		t.Errorf("mode %v after Chmod, want 0606", info.Mode)
	}
	must(t, o.Chown(-1, -1))

	_, err = posix.CreateObject("/x", 1, nil)
	wantErr(t, err, fs.ErrExist)
	if got, want := fmt.Sprint(err), "shm_open /x: file exists"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}

	// An existing object is opened as it is, if it fits.
	_, err = o.File().WriteAt([]byte("kept"), 0)
	must(t, err)
	again, made, err := posix.OpenOrCreateObject("/x", 5000, nil)
	must(t, err)
	defer again.Close()
	var text [4]byte
	if _, err := again.File().ReadAt(text[:], 0); made || err != nil || string(text[:]) != "kept" {
		t.Errorf("made %v, %q, %v", made, text, err)
	}
	for _, size := range []int64{0, 4999, 5001} {
		_, _, err = posix.OpenOrCreateObject("/x", size, nil)
		wantErr(t, err, posix.ErrMismatch)
		if want := fmt.Sprintf("it has 5000 bytes, not the %d asked for", size); !strings.HasSuffix(err.Error(), want) {
			t.Errorf("error %q, want %q", err, want)
		}
	}
}

// TestOpenOrCreate makes one object of each kind, with nil options, and finds it again.
func TestOpenOrCreate(t *testing.T) {
	o, madeO, err := posix.OpenOrCreateObject("/x", 100, nil)
	must(t, err)
	defer func() { must(t, errors.Join(o.Close(), posix.UnlinkObject("/x"))) }()
	s, madeS, err := posix.OpenOrCreateSemaphore("/x", 3, nil)
	must(t, err)
	defer func() { must(t, errors.Join(s.Close(), posix.UnlinkSemaphore("/x"))) }()
	q, madeQ, err := posix.OpenOrCreateQueue("/x", small)
	must(t, err)
	defer func() { must(t, errors.Join(q.Close(), posix.UnlinkQueue("/x"))) }()
	info, err := o.Stat()
	if !madeO || !madeS || !madeQ || info.Mode != 0o600 || err != nil {
		t.Errorf("made %v, %v, %v; mode %v, %v", madeO, madeS, madeQ, info.Mode, err)
	}
	again, made, err := posix.OpenOrCreateSemaphore("/x", 9, nil)
	must(t, err)
	if wantValue(t, again, 3); made {
		t.Error("a semaphore that exists was made")
	}
	must(t, again.Close())
	queue, made, err := posix.OpenOrCreateQueue("/x", nil)
	must(t, err)
	if a, err := queue.Attributes(); made || a.MaxMsgs != 3 || err != nil {
		t.Errorf("made %v, %+v, %v", made, a, err)
	}
	must(t, queue.Close())
	_, _, err = posix.OpenOrCreateQueue("/x", &posix.QueueOptions{MaxMsgs: 3, MsgSize: 17})
	wantErr(t, err, posix.ErrMismatch)
	if want := "it holds 3 messages of 16 bytes, not 3 of 17"; !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %q, want %q", err, want)
	}
	none, err := posix.CreateObject("/none", 1, &posix.ObjectOptions{Mode: posix.NoAccess})
	must(t, err)
	if info, err := none.Stat(); info.Mode != 0 || err != nil {
		t.Errorf("mode %v, %v, want none", info.Mode, err)
	}
	must(t, errors.Join(none.Close(), posix.UnlinkObject("/none")))

	if os.Getuid() != 0 {
		return
	}
	ipctest.NeedOtherUsers(t)
	must(t, errors.Join(o.Chown(1234, -1), q.Chown(1234, -1), os.Chown("/dev/shm/sem.x", 1234, -1)))
	_, _, errO := posix.OpenOrCreateObject("/x", 100, nil)
	_, _, errS := posix.OpenOrCreateSemaphore("/x", 3, nil)
	_, _, errQ := posix.OpenOrCreateQueue("/x", nil)
	for _, err := range []error{errO, errS, errQ} {
		wantErr(t, err, posix.ErrMismatch)
	}
	theirs, made, err := posix.OpenOrCreateObject("/x", 100, &posix.ObjectOptions{AnyOwner: true})
	if must(t, err); made {
		t.Error("an object that exists was made")
	}
	must(t, theirs.Close())
}

func TestObjectErrors(t *testing.T) {
	o := create(t, "/x", 100)
	readOnly, err := posix.OpenObject("/x", posix.ReadOnly)
	must(t, err)
	defer readOnly.Close()
	must(t, os.Symlink("/dev/shm/x", "/dev/shm/link"))
	must(t, os.Mkdir("/dev/shm/dir", 0o700))
	must(t, unix.Mkfifo("/dev/shm/fifo", 0o600))
	defer func() {
		for _, name := range []string{"link", "dir", "fifo"} {
			must(t, os.Remove("/dev/shm/"+name))
		}
	}()
	second := func(_ *posix.Object, err error) error { return err }
	for _, tt := range []struct {
		what string
		err  error
		want error
	}{
		{"open what is not there", second(posix.OpenObject("/y", posix.ReadWrite)), fs.ErrNotExist},
		{"open for writing alone", second(posix.OpenObject("/x", posix.WriteOnly)), unix.EINVAL},
		{"open for nothing", second(posix.OpenObject("/x", 3)), unix.EINVAL},
		{"open a queue for nothing", func() error { _, err := posix.OpenQueue("/x", -1); return err }(), unix.EINVAL},
		{"open a link", second(posix.OpenObject("/link", posix.ReadWrite)), unix.ELOOP},
		{"open a directory for reading", second(posix.OpenObject("/dir", posix.ReadOnly)), unix.EINVAL},
		{"open a directory", second(posix.OpenObject("/dir", posix.ReadWrite)), unix.EISDIR},
		{"open a pipe nobody writes to", second(posix.OpenObject("/fifo", posix.ReadOnly)), unix.EINVAL},
		{"create over a pipe", second(posix.CreateObject("/fifo", 1, nil)), fs.ErrExist},
		{"take a pipe for an object", third(posix.OpenOrCreateObject("/fifo", 1, nil)), unix.EINVAL},
		{"create below 0", second(posix.CreateObject("/y", -1, nil)), unix.EINVAL},
		{"create with a type", second(posix.CreateObject("/y", 1, &posix.ObjectOptions{Mode: fs.ModeSetuid | 0o600})), unix.EINVAL},
		{"create huge", second(posix.CreateObject("/y", 1<<62, &posix.ObjectOptions{Reserve: true})), unix.ENOSPC},
		{"create nothing, reserved", second(posix.CreateObject("/y", 0, &posix.ObjectOptions{Reserve: true})), unix.EINVAL},
		{"truncate below 0", o.Truncate(-1), unix.EINVAL},
		{"truncate read-only", readOnly.Truncate(1), unix.EINVAL},
		{"reserve nothing", o.Reserve(0), unix.EINVAL},
		{"reserve read-only", readOnly.Reserve(1), unix.EBADF},
		{"chmod with a type", o.Chmod(fs.ModeDir), unix.EINVAL},
		{"unlink what is not there", posix.UnlinkObject("/y"), fs.ErrNotExist},
		{"memfd below 0", second(posix.CreateMemfd("m", -1, nil)), unix.EINVAL},
		{"memfd with a long label", second(posix.CreateMemfd(strings.Repeat("x", 250), 1, nil)), unix.EINVAL},
		{"memfd with odd pages", second(posix.CreateMemfd("m", 0, &posix.MemfdOptions{HugePages: 3})), unix.EINVAL},
		{"memfd with pages of one byte", second(posix.CreateMemfd("m", 0, &posix.MemfdOptions{HugePages: 1})), unix.EINVAL},
		{"memfd, reserved and empty", second(posix.CreateMemfd("m", 0, &posix.MemfdOptions{Reserve: true})), unix.EINVAL},
		{"inherit nothing", second(posix.Inherit(-1)), unix.EBADF},
		{"inherit a directory", second(inheritDir(t)), unix.EINVAL},
	} {
		var e *posix.Error
		if !errors.Is(tt.err, tt.want) || !errors.As(tt.err, &e) || strings.Contains(tt.err.Error(), "/dev/shm") {
			t.Errorf("%s: %v, want %v", tt.what, tt.err, tt.want)
		}
	}
	for _, name := range []string{"y"} {
		if exists("/dev/shm/" + name) {
			t.Errorf("%s was made in spite of the error", name)
		}
	}
	wantErr(t, o.Reserve(1<<30), unix.ENOSPC)
	if info, err := o.Stat(); err != nil || info.Memory != 0 || info.Size != 100 {
		t.Errorf("a Reserve that could not succeed took memory: %+v, %v", info, err)
	}
	must(t, o.Close())
	_, err = o.Size()
	wantErr(t, err, fs.ErrClosed)
	_, err = o.Stat()
	wantErr(t, err, fs.ErrClosed)
	wantErr(t, o.Reserve(1), fs.ErrClosed)
	wantErr(t, o.Close(), fs.ErrClosed)
}

func inheritDir(t testing.TB) (*posix.Object, error) {
	fd, err := unix.Open("/", unix.O_PATH, 0)
	must(t, err)
	defer unix.Close(fd)
	return posix.Inherit(fd)
}

// playOpen opens an object as another user.
func playOpen(args []string) error {
	_, err := posix.OpenObject(args[0], posix.ReadWrite)
	_, errSem := posix.OpenSemaphore(args[0])
	_, errQueue := posix.OpenQueue(args[0], posix.ReadWrite)
	errUnlink := posix.UnlinkObject(args[0])
	for _, err := range []error{err, errSem, errQueue} {
		fmt.Println(errors.Is(err, fs.ErrPermission) && errors.Is(err, unix.EACCES))
	}
	fmt.Println(errors.Is(errUnlink, unix.EPERM))
	for info := range posix.Semaphores() {
		fmt.Println(info.Name, info.Known)
	}
	for info := range posix.Queues() {
		fmt.Println(info.Name, info.Known)
	}
	return nil
}

func TestPermission(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	ipctest.SkipUnderQEMU(t, "it cannot start the test program again")
	create(t, "/private", 1)
	createSemaphore(t, "/private", 1)
	createQueue(t, "/private", nil)
	p := ipctest.Start(t, "open", &syscall.Credential{Uid: 65534, Gid: 65534}, "/private")
	if got, want := p.Wait(), "true\ntrue\ntrue\ntrue\n/private false\n/private false\n"; got != want {
		t.Errorf("nobody got %q, want %q", got, want)
	}
}

func TestObjects(t *testing.T) {
	create(t, "/b", 10)
	create(t, "/a", 20)
	createSemaphore(t, "/c", 1)
	must(t, os.Mkdir("/dev/shm/dir", 0o700))
	defer os.Remove("/dev/shm/dir")
	var got []string
	for info, err := range posix.Objects() {
		must(t, err)
		got = append(got, fmt.Sprint(info.Name, info.Size))
	}
	if want := []string{"/a20", "/b10"}; !slices.Equal(got, want) {
		t.Errorf("Objects = %q, want %q", got, want)
	}
	for range posix.Objects() {
		break
	}
}

func TestReserve(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it says yes to advice that it does not know, and loses the address of a fault")
	const size = 1 << 20
	ipctest.MountShm(t, size)
	usage, err := posix.ShmUsage()
	must(t, err)
	if usage.Size != size || usage.Free != size || usage.Used != 0 || usage.Files == 0 {
		t.Errorf("ShmUsage = %+v of an empty file system of %d bytes", usage, size)
	}

	// An object that does not fit is not created.
	_, err = posix.CreateObject("/x", 2*size, &posix.ObjectOptions{Mode: 0o600, Reserve: true})
	wantErr(t, err, unix.ENOSPC)
	if exists("/dev/shm/x") {
		t.Error("an object was left of a creation that failed")
	}
	if usage, _ := posix.ShmUsage(); usage.Used != 0 {
		t.Errorf("%d bytes are still taken", usage.Used)
	}

	// Without Reserve it is created, and the error comes with its use.
	o, err := posix.CreateObject("/x", 2*size, nil)
	must(t, err)
	defer o.Close()
	m, err := o.Map(nil)
	must(t, err)
	n, err := m.WriteAt(make([]byte, 2*size), 0)
	if !errors.Is(err, posix.ErrFault) {
		t.Errorf("WriteAt beyond a full /dev/shm = %d, %v, want ErrFault", n, err)
	}
	wantErr(t, m.Prefault(), posix.ErrFault)
	wantErr(t, o.Reserve(2*size), unix.ENOSPC)
	_, err = o.File().WriteAt([]byte("x"), 2*size-1)
	wantErr(t, err, unix.ENOSPC)
	_, err = posix.CreateSemaphore("/s", 1, nil)
	wantErr(t, err, unix.ENOSPC)
	must(t, m.Unmap())

	// The reserved memory is there.
	must(t, o.Truncate(0))
	must(t, o.Reserve(size/2))
	if info, _ := o.Stat(); info.Memory != size/2 || info.Size != size/2 {
		t.Errorf("Stat after Reserve = %+v", info)
	}
	_, err = posix.CreateObject("/y", size, &posix.ObjectOptions{Reserve: true})
	wantErr(t, err, unix.ENOSPC)
	m, err = o.Map(nil)
	must(t, err)
	must(t, m.Prefault())
	must(t, m.Unmap())
	// A smaller size does not truncate it.
	must(t, o.Reserve(10))
	if n, _ := o.Size(); n != size/2 {
		t.Errorf("Reserve(10) changed the size to %d", n)
	}
}

// Reserve allocates in chunks, here more than one, while signals arrive all the time.
func TestReserveLarge(t *testing.T) {
	o := create(t, "/x", 0)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, tid := os.Getpid(), unix.Gettid()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Tgkill(pid, tid, unix.SIGURG)
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	const size = 50<<20 + 5
	must(t, o.Reserve(size))
	if n, _ := o.Size(); n != size {
		t.Errorf("size %d, want %d", n, size)
	}
}

// Several processes create one name at once: all get the same, complete object.
func TestCreateRace(t *testing.T) {
	for range 200 {
		const racers = 4
		var makers atomic.Int32
		errs := make(chan error, racers)
		for range racers {
			go func() {
				o, made, err := posix.OpenOrCreateObject("/race", 4096, nil)
				if err == nil {
					if made {
						makers.Add(1)
					}
					if n, e := o.Size(); n != 4096 {
						err = fmt.Errorf("size %d, %v", n, e)
					}
					o.Close()
				}
				errs <- err
			}()
		}
		for range racers {
			must(t, <-errs)
		}
		if n := makers.Load(); n != 1 {
			t.Errorf("%d made it", n)
		}
		must(t, posix.UnlinkObject("/race"))
	}
}

// playCreate creates and removes objects and semaphores forever.
func playCreate([]string) error {
	fmt.Println("ready")
	for {
		o, err := posix.CreateObject("/k", killedSize, &posix.ObjectOptions{Mode: 0o600, Reserve: true})
		if err != nil {
			return err
		}
		s, err := posix.CreateSemaphore("/k", 7, nil)
		if err != nil {
			return err
		}
		if err := errors.Join(o.Close(), s.Close(), posix.UnlinkObject("/k"), posix.UnlinkSemaphore("/k")); err != nil {
			return err
		}
	}
}

const killedSize = 1 << 20

// A process killed while it creates an object leaves all of it or nothing.
func TestKilledCreator(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it cannot start the test program again")
	rounds, objects, semaphores := 0, 0, 0
	for range ipctest.Rounds(t, 100, 1) {
		rounds++
		p := ipctest.Start(t, "create", nil)
		p.Line()
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
		p.Kill()
		entries, err := os.ReadDir("/dev/shm")
		must(t, err)
		for _, entry := range entries {
			switch entry.Name() {
			case "k":
				objects++
				o, err := posix.OpenObject("/k", posix.ReadWrite)
				must(t, err)
				if info, err := o.Stat(); err != nil || info.Size != killedSize || info.Memory != killedSize {
					t.Errorf("half an object: %+v, %v", info, err)
				}
				must(t, o.Close())
				must(t, posix.UnlinkObject("/k"))
			case "sem.k":
				semaphores++
				s, err := posix.OpenSemaphore("/k")
				must(t, err)
				wantValue(t, s, 7)
				must(t, s.Close())
				must(t, posix.UnlinkSemaphore("/k"))
			default:
				t.Errorf("%s is left", entry.Name())
				must(t, os.Remove("/dev/shm/"+entry.Name()))
			}
		}
	}
	t.Logf("after %d rounds %d objects and %d semaphores were left, all whole", rounds, objects, semaphores)
}

func TestObjectAgainstC(t *testing.T) {
	program := compile(t)
	o := create(t, "/from-go", 4096)
	_, err := o.File().WriteAt([]byte("from go\x00"), 0)
	must(t, err)
	if got := output(t, program, "shm-read", "/from-go"); got != "from go" {
		t.Errorf("C reads %q", got)
	}

	output(t, program, "shm-create", "/from-c", "from c")
	defer posix.UnlinkObject("/from-c")
	o, err = posix.OpenObject("/from-c", posix.ReadOnly)
	must(t, err)
	defer o.Close()
	m, err := o.Map(&posix.MapOptions{Prot: posix.ProtRead})
	must(t, err)
	defer m.Unmap()
	got := make([]byte, 7)
	if _, err := m.ReadAt(got, 0); string(got) != "from c\x00" || err != nil {
		t.Errorf("Go reads %q, %v", got, err)
	}
}

func TestObjectAgainstPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no Python: install python3")
	}
	run := func(script string) string {
		t.Helper()
		out, err := exec.Command(python, "-c", script).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	o := create(t, "/from-go", 4096)
	_, err = o.File().WriteAt([]byte("hello"), 0)
	must(t, err)
	// Python's resource tracker would unlink an object that it only attached.
	const attach = `
from multiprocessing import resource_tracker, shared_memory
m = shared_memory.SharedMemory(name="from-go")
resource_tracker.unregister(m._name, "shared_memory")
print(bytes(m.buf[:5]).decode(), m.size)
m.buf[:5] = b"HELLO"
m.close()`
	if got := run(attach); got != "hello 4096" {
		t.Errorf("Python reads %q", got)
	}
	got := make([]byte, 5)
	if _, err := o.File().ReadAt(got, 0); string(got) != "HELLO" || err != nil {
		t.Errorf("Go reads %q, %v", got, err)
	}

	const make = `
from multiprocessing import resource_tracker, shared_memory
m = shared_memory.SharedMemory(name="from-python", create=True, size=1000)
resource_tracker.unregister(m._name, "shared_memory")
m.buf[:6] = b"python"
m.close()`
	run(make)
	defer posix.UnlinkObject("/from-python")
	found := false
	for info, err := range posix.Objects() {
		must(t, err)
		found = found || info.Name == "/from-python" && info.Size == 1000
	}
	if !found {
		t.Error("Python's object is not listed")
	}
	o, err = posix.OpenObject("from-python", posix.ReadWrite)
	must(t, err)
	defer o.Close()
	text := []byte("......")
	if _, err := o.File().ReadAt(text, 0); string(text) != "python" || err != nil {
		t.Errorf("Go reads %q, %v", text, err)
	}
}

func TestSeals(t *testing.T) {
	o, err := posix.CreateMemfd("sealed", 8192, &posix.MemfdOptions{Sealing: true, Reserve: true})
	must(t, err)
	defer o.Close()
	if info, err := o.Stat(); err != nil || info.Size != 8192 || info.Memory != 8192 || info.Links != 0 {
		t.Errorf("Stat = %+v, %v", info, err)
	}
	m, err := o.Map(nil)
	must(t, err)
	wantErr(t, o.Seal(posix.SealWrite), unix.EBUSY)
	must(t, o.Seal(posix.SealShrink|posix.SealGrow))
	wantErr(t, o.Truncate(4096), unix.EPERM)
	wantErr(t, o.Truncate(16384), unix.EPERM)
	must(t, m.Unmap())
	must(t, o.Seal(posix.SealWrite|posix.SealSeal))
	if seals, err := o.Seals(); seals != posix.SealShrink|posix.SealGrow|posix.SealWrite|posix.SealSeal || err != nil {
		t.Errorf("Seals = %b, %v", seals, err)
	}
	wantErr(t, o.Seal(posix.SealFutureWrite), unix.EPERM)
	_, err = o.Map(nil)
	wantErr(t, err, unix.EPERM)
	_, err = o.File().WriteAt([]byte("x"), 0)
	wantErr(t, err, unix.EPERM)
	m, err = o.Map(&posix.MapOptions{Prot: posix.ProtRead})
	must(t, err)
	must(t, m.Unmap())

	plain, err := posix.CreateMemfd("plain", 1, nil)
	must(t, err)
	defer plain.Close()
	wantErr(t, plain.Seal(posix.SealGrow), unix.EPERM)
	if seals, err := plain.Seals(); seals != posix.SealSeal || err != nil {
		t.Errorf("Seals without Sealing = %b, %v", seals, err)
	}
}

func TestSealsOfAFile(t *testing.T) {
	// A file on a disk has no seals. A file in /dev/shm has SealSeal, so none can be
	// added.
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	must(t, err)
	defer f.Close()
	fd, err := unix.Dup(int(f.Fd()))
	must(t, err)
	o, err := posix.Inherit(fd)
	must(t, err)
	defer o.Close()
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 || err != nil {
		t.Errorf("flags %#x, %v: the descriptor would be inherited on", flags, err)
	}
	if _, err := o.Seals(); err != nil {
		wantErr(t, err, unix.EINVAL)
	}
	shm := create(t, "/x", 1)
	wantErr(t, shm.Seal(posix.SealGrow), unix.EPERM)
}

// playChild is a child process that was given an object with a semaphore in it.
func playChild(args []string) error {
	var fd int
	if _, err := fmt.Sscan(args[0], &fd); err != nil {
		return err
	}
	o, err := posix.Inherit(fd)
	if err != nil {
		return err
	}
	m, err := o.Map(nil)
	if err != nil {
		return err
	}
	s, err := posix.SemaphoreAt(m, 64)
	if err != nil {
		return err
	}
	value, err := posix.View[uint64](m, 0)
	if err != nil {
		return err
	}
	*value = 0xdbeebee
	return s.Release(1)
}

// TestPassToChild shares memory without a name between parent and child, without a fork.
func TestPassToChild(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it cannot start the test program again")
	o, err := posix.CreateMemfd("family", 4096, nil)
	must(t, err)
	defer o.Close()
	m, err := o.Map(nil)
	must(t, err)
	defer m.Unmap()
	s, err := posix.InitSemaphore(m, 64, 0)
	must(t, err)

	cmd := exec.Command("/proc/self/exe")
	other, err := posix.CreateMemfd("other", 1, nil)
	must(t, err)
	defer other.Close()
	if fd := other.PassTo(&cmd.ExtraFiles); fd != 3 {
		t.Errorf("the first descriptor is %d, want 3", fd)
	}
	cmd.Args = append(cmd.Args, fmt.Sprint(o.PassTo(&cmd.ExtraFiles)))
	cmd.Env = append(os.Environ(), "GIPC_TEST_ROLE=child")
	in, err := cmd.StdinPipe() // the process ends when this is closed
	must(t, err)
	defer in.Close()
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	must(t, s.Acquire(t.Context(), 1))
	value, err := posix.View[uint64](m, 0)
	must(t, err)
	if *value != 0xdbeebee {
		t.Errorf("child wrote %#x", *value)
	}
	must(t, cmd.Wait())

	program := compile(t)
	cmd = exec.Command(program, "fd-write", fmt.Sprint(o.PassTo(new([]*os.File))), "from a C child")
	o.PassTo(&cmd.ExtraFiles)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := m.Bytes()[:15]; string(got) != "from a C child\x00" {
		t.Errorf("C wrote %q", got)
	}
}

// TestManyFiles lists and unlinks many files: in a soak, as many as a machine may have
// System V objects.
func TestManyFiles(t *testing.T) {
	objects, semaphores := 4000, 1000 // each semaphore takes a page
	switch {
	case ipctest.Soaking():
		objects, semaphores = 32000, 32000
	case testing.Short():
		objects, semaphores = 500, 100
	}
	for i := range objects {
		o, err := posix.CreateObject(fmt.Sprint("/many", i), 0, nil)
		must(t, err)
		must(t, o.Close())
	}
	for i := range semaphores {
		s, err := posix.CreateSemaphore(fmt.Sprint("/many", i), i, nil)
		must(t, err)
		must(t, s.Close())
	}
	values := 0
	for info, err := range posix.Semaphores() {
		must(t, err)
		values += info.Value
		semaphores--
		must(t, posix.UnlinkSemaphore(info.Name))
	}
	for info, err := range posix.Objects() {
		must(t, err)
		objects--
		must(t, posix.UnlinkObject(info.Name))
	}
	if objects != 0 || semaphores != 0 || values == 0 {
		t.Errorf("%d objects and %d semaphores were not listed; the sum of values is %d", objects, semaphores, values)
	}
}
