// Package permissions_test lets processes with various users, groups and capabilities
// attempt every operation of the module on other users' objects, and compares the
// kernel's answers with a model of the manual's rules.
package permissions_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// asWorker is set in the environment of a worker; its value lists the capabilities to keep.
const asWorker = "GIPC_PERMISSIONS_WORKER"

func TestMain(m *testing.M) {
	if caps, ok := os.LookupEnv(asWorker); ok {
		if err := work(caps); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	ipctest.MainPOSIX(m)
}

const (
	key  sysv.Key = 0x9e5
	name          = "/permissions"
)

// An attempt is an operation on the objects.
type attempt struct {
	name string
	rule rule
	make func(o ids) error
}

// ids are the System V objects, by kind; POSIX objects have a name.
type ids [3]int

func (o ids) segment() sysv.Segment { return sysv.Segment(o[sysv.Shm]) }
func (o ids) set() sysv.Set         { return sysv.Set(o[sysv.Sem]) }
func (o ids) queue() sysv.Queue     { return sysv.Queue(o[sysv.Msg]) }

func second[T any](_ T, err error) error { return err }

// attach attaches and detaches.
func attach(o ids, options *sysv.AttachOptions) error {
	mem, err := o.segment().Attach(options)
	if err != nil {
		return err
	}
	return mem.Detach()
}

func third[A, B any](_ A, _ B, err error) error { return err }

// closed closes what was opened.
func closed[T io.Closer](opened T, err error) error {
	if err != nil {
		return err
	}
	return opened.Close()
}

// uses returns the attempts that do not affect later ones.
func uses() []attempt {
	ctx := context.Background()
	return []attempt{
		{"shm Stat", bits(r), func(o ids) error { return second(o.segment().Stat()) }},
		{"shm StatAny", bits(0), func(o ids) error { return second(o.segment().StatAny()) }},
		{"shm Attach", bits(r | w), func(o ids) error { return attach(o, nil) }},
		{"shm Attach for reading", bits(r), func(o ids) error { return attach(o, &sysv.AttachOptions{ReadOnly: true}) }},
		{"shm Attach for execution", bits(r | w | x), func(o ids) error { return attach(o, &sysv.AttachOptions{Exec: true}) }},
		{"shm Open", bits(0), func(ids) error { return second(sysv.OpenSegment(key)) }},
		{"shm OpenOrCreate", bits(r), func(ids) error {
			return third(sysv.OpenOrCreateSegment(key, 1, &sysv.SegmentOptions{AnyOwner: true}))
		}},
		{"shm Lock", lock, func(o ids) error { return o.segment().Lock() }},
		{"shm Unlock", lock, func(o ids) error { return o.segment().Unlock() }},

		{"sem Stat", bits(r), func(o ids) error { return second(o.set().Stat()) }},
		{"sem StatAny", bits(0), func(o ids) error { return second(o.set().StatAny()) }},
		{"sem Value", bits(r), func(o ids) error { return second(o.set().Value(0)) }},
		{"sem Values", bits(r), func(o ids) error { return second(o.set().Values()) }},
		{"sem PID", bits(r), func(o ids) error { return second(o.set().PID(0)) }},
		{"sem NCount", bits(r), func(o ids) error { return second(o.set().NCount(0)) }},
		{"sem ZCount", bits(r), func(o ids) error { return second(o.set().ZCount(0)) }},
		{"sem Do for zero", bits(r), func(o ids) error { return o.set().Do(ctx, sysv.Op{Num: 1}) }},
		{"sem Do", bits(w), func(o ids) error { return o.set().Do(ctx, sysv.Op{Add: 1}) }},
		{"sem TryDo both", bits(w), func(o ids) error { return second(o.set().TryDo(sysv.Op{Num: 1}, sysv.Op{Add: 1})) }},
		{"sem SetValue", bits(w), func(o ids) error { return o.set().SetValue(0, 0) }},
		{"sem SetValues", bits(r | w), func(o ids) error { return o.set().SetValues([]uint16{0, 0}) }},
		{"sem Open", bits(0), func(ids) error { return second(sysv.OpenSet(key)) }},
		{"sem OpenOrCreate", bits(r), func(ids) error {
			return third(sysv.OpenOrCreateSet(ctx, key, []uint16{0, 0}, &sysv.SetOptions{AnyOwner: true}))
		}},

		{"msg Stat", bits(r), func(o ids) error { return second(o.queue().Stat()) }},
		{"msg StatAny", bits(0), func(o ids) error { return second(o.queue().StatAny()) }},
		{"msg Send", bits(w), func(o ids) error { return o.queue().Send(ctx, 1, nil) }},
		{"msg TrySend", bits(w), func(o ids) error { return second(o.queue().TrySend(1, nil)) }},
		{"msg TryReceive", bits(r), func(o ids) error {
			_, _, _, err := o.queue().TryReceive(nil, sysv.ReceiveOptions{})
			return err
		}},
		{"msg Peek", bits(r), func(o ids) error { _, _, _, err := o.queue().Peek(0, nil, true); return err }},
		{"msg Open", bits(0), func(ids) error { return second(sysv.OpenQueue(key)) }},
		{"msg OpenOrCreate", bits(r), func(ids) error {
			return third(sysv.OpenOrCreateQueue(key, &sysv.QueueOptions{AnyOwner: true}))
		}},

		{"object Open", file(r | w), func(ids) error { return closed(posix.OpenObject(name, posix.ReadWrite)) }},
		{"object Open for reading", file(r), func(ids) error { return closed(posix.OpenObject(name, posix.ReadOnly)) }},
		{"object OpenOrCreate", file(r | w), func(ids) error {
			o, _, err := posix.OpenOrCreateObject(name, 1, &posix.ObjectOptions{AnyOwner: true})
			return closed(o, err)
		}},
		{"semaphore Open", file(r | w), func(ids) error { return closed(posix.OpenSemaphore(name)) }},
		{"queue Open", file(r | w), func(ids) error { return closed(posix.OpenQueue(name, posix.ReadWrite)) }},
		{"queue Open for reading", file(r), func(ids) error { return closed(posix.OpenQueue(name, posix.ReadOnly)) }},
		{"queue Open for writing", file(w), func(ids) error { return closed(posix.OpenQueue(name, posix.WriteOnly)) }},
	}
}

// changes returns the attempts after which the objects must be remade. They run on
// objects that everybody may read.
func changes() []attempt {
	same := sysv.Ownership{UID: owner, GID: ownerGroup, Mode: readable}
	return []attempt{
		{"shm Set", control, func(o ids) error { return o.segment().SetOwnership(same) }},
		{"sem Set", control, func(o ids) error { return o.set().SetOwnership(same) }},
		{"msg Set", control, func(o ids) error { return o.queue().SetOwnership(same, 100) }},
		{"shm Remove", control, func(o ids) error { return o.segment().Remove() }},
		{"sem Remove", control, func(o ids) error { return o.set().Remove() }},
		{"msg Remove", control, func(o ids) error { return o.queue().Remove() }},
		{"object Chmod", fileOwner, func(ids) error {
			o, err := posix.OpenObject(name, posix.ReadOnly)
			if err != nil {
				return err
			}
			return errors.Join(o.Chmod(readable), o.Close())
		}},
		{"queue Chmod", fileOwner, func(ids) error {
			q, err := posix.OpenQueue(name, posix.ReadOnly)
			if err != nil {
				return err
			}
			return errors.Join(q.Chmod(readable), q.Close())
		}},
		{"object Unlink", unlink, func(ids) error { return posix.UnlinkObject(name) }},
		{"semaphore Unlink", unlink, func(ids) error { return posix.UnlinkSemaphore(name) }},
		{"queue Unlink", unlink, func(ids) error { return posix.UnlinkQueue(name) }},
	}
}

// readable lets everybody read, so that only the change itself can be refused.
const readable = 0o444

// work is the main function of a worker. Each line that it reads names attempts; it
// answers with their error numbers.
func work(caps string) error {
	runtime.LockOSThread() // the thread whose capabilities are dropped
	if err := keepCapabilities(caps); err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var what string
		var o ids
		if _, err := fmt.Sscan(in.Text(), &what, &o[0], &o[1], &o[2]); err != nil {
			return err
		}
		all := map[string]func() []attempt{"uses": uses, "changes": changes}[what]
		if all == nil {
			if err := create(); err != nil {
				return err
			}
			continue
		}
		var got []string
		for _, a := range all() {
			e := unix.Errno(0)
			if err := a.make(o); err != nil && !errors.As(err, &e) {
				return fmt.Errorf("%s: %w", a.name, err)
			}
			got = append(got, strconv.Itoa(int(e)))
		}
		fmt.Println(strings.Join(got, " "))
	}
	return nil
}

// keepCapabilities drops all capabilities except caps.
func keepCapabilities(caps string) error {
	var data [2]unix.CapUserData
	for _, word := range strings.Fields(caps) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		data[n/32].Effective |= 1 << (n % 32)
		data[n/32].Permitted |= 1 << (n % 32)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return unix.Capset(&header, &data[0])
}

// create makes the System V objects and prints their identifiers.
func create() error {
	seg, err1 := sysv.CreateSegment(key, 1, nil)
	set, err2 := sysv.CreateSet(key, 2, nil)
	queue, err3 := sysv.CreateQueue(key, nil)
	fmt.Println(int(seg), int(set), int(queue))
	return errors.Join(err1, err2, err3)
}

// A worker is a process that makes attempts.
type worker struct {
	identity
	in  io.WriteCloser
	out *bufio.Reader
	cmd *exec.Cmd
}

func start(t *testing.T, i identity) *worker {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), asWorker+"="+strings.Trim(fmt.Sprint(i.caps), "[]"), "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	credential := &syscall.Credential{Uid: uint32(i.uid), Gid: uint32(i.gid)}
	for _, g := range i.groups {
		credential.Groups = append(credential.Groups, uint32(g))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Pdeathsig: unix.SIGKILL}
	if i.uid != root { // root has them anyway
		for _, c := range i.caps {
			cmd.SysProcAttr.AmbientCaps = append(cmd.SysProcAttr.AmbientCaps, uintptr(c))
		}
	}
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	check(t, errors.Join(err1, err2))
	check(t, cmd.Start())
	return &worker{i, in, bufio.NewReader(out), cmd}
}

// ask sends a command to the process and returns the numbers in its answer.
func (w *worker) ask(t *testing.T, what string, o ids) (numbers []int) {
	t.Helper()
	_, err := fmt.Fprintln(w.in, what, o[0], o[1], o[2])
	check(t, err)
	line, err := w.out.ReadString('\n')
	check(t, err)
	for _, word := range strings.Fields(line) {
		n, err := strconv.Atoi(word)
		check(t, err)
		numbers = append(numbers, n)
	}
	return numbers
}

func (w *worker) end(t *testing.T) {
	t.Helper()
	w.in.Close()
	check(t, w.cmd.Wait())
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// identities returns the callers: each user in each group without capabilities, and
// unprivileged users with each relevant capability.
func identities() (all []identity) {
	for _, uid := range []int{owner, creator, stranger, root} {
		for _, groups := range [][]int{nil, {ownerGroup}, {4000, creatorGroup}} {
			all = append(all, identity{uid: uid, gid: strangerGroup, groups: groups})
		}
		all = append(all, identity{uid: uid, gid: ownerGroup})
	}
	for _, c := range []int{
		unix.CAP_IPC_OWNER, unix.CAP_SYS_ADMIN, unix.CAP_IPC_LOCK,
		unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER,
	} {
		all = append(
			all,
			identity{uid: stranger, gid: strangerGroup, caps: []int{c}},
			identity{uid: root, gid: strangerGroup, caps: []int{c}},
		)
	}
	return all
}

// TestMatrix lets every identity attempt everything: on objects of all 512 modes in a
// soak, otherwise of every fifth, which covers all eight combinations of each class.
func TestMatrix(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it cannot start the test program again")
	ipctest.NeedOtherUsers(t)
	step := 5
	if ipctest.Soaking() {
		step = 1
	}
	count := 0
	for range ipctest.Rounds(t, 1, 0) {
		count += attemptAll(t, step)
	}
	t.Logf("%d attempts", count)
}

// attemptAll lets each identity make all attempts, on objects of every step-th mode.
func attemptAll(t *testing.T, step int) (count int) {
	t.Helper()
	maker := start(t, identity{uid: creator, gid: creatorGroup})
	defer maker.end(t)
	o := makeObjects(t, maker)
	for _, i := range identities() {
		w := start(t, i)
		for mode := 0; mode < 512; mode += step {
			setMode(t, o, mode)
			count += compare(t, i, mode, uses(), w.ask(t, "uses", o))
		}
		setMode(t, o, readable)
		count += compare(t, i, readable, changes(), w.ask(t, "changes", o))
		w.end(t)
		removeObjects(t, o)
		o = makeObjects(t, maker)
	}
	removeObjects(t, o)
	return count
}

// compare compares error numbers with the rules.
func compare(t *testing.T, i identity, mode int, all []attempt, got []int) int {
	t.Helper()
	for n, a := range all {
		if want := a.rule(i, mode); unix.Errno(got[n]) != want {
			t.Errorf("%+v, mode %04o, %s: error %d (%v), want %d", i, mode, a.name, got[n], unix.Errno(got[n]), want)
		}
	}
	return len(all)
}

// makeObjects lets the creator make objects and gives them to the owner, and makes
// POSIX objects of the owner.
func makeObjects(t *testing.T, maker *worker) ids {
	t.Helper()
	o := ids(maker.ask(t, "create", ids{}))
	object, err1 := posix.CreateObject(name, 1, nil)
	sem, err2 := posix.CreateSemaphore(name, 1, nil)
	queue, err3 := posix.CreateQueue(name, nil)
	check(t, errors.Join(err1, err2, err3))
	check(t, errors.Join(object.Close(), sem.Close(), queue.Close()))
	for _, path := range paths {
		check(t, os.Chown(path, owner, ownerGroup))
	}
	setMode(t, o, 0)
	return o
}

// paths are the files of the POSIX objects.
var paths = []string{"/dev/shm" + name, "/dev/shm/sem." + name[1:], "/dev/mqueue" + name}

// setMode sets the mode of all objects, and empties the queue.
func setMode(t *testing.T, o ids, mode int) {
	t.Helper()
	set := sysv.Ownership{UID: owner, GID: ownerGroup, Mode: fs.FileMode(mode)}
	check(t, errors.Join(o.segment().SetOwnership(set), o.set().SetOwnership(set), o.queue().SetOwnership(set, 100)))
	for _, path := range paths {
		check(t, os.Chmod(path, fs.FileMode(mode)))
	}
	for ok := true; ok; {
		var err error
		_, _, ok, err = o.queue().TryReceive(nil, sysv.ReceiveOptions{})
		check(t, err)
	}
}

// removeObjects removes what the attempts have left.
func removeObjects(t *testing.T, o ids) {
	t.Helper()
	for _, err := range []error{
		o.segment().Remove(), o.set().Remove(), o.queue().Remove(),
		posix.UnlinkObject(name), posix.UnlinkSemaphore(name), posix.UnlinkQueue(name),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			check(t, err)
		}
	}
}

// TestIdentitiesAreAll checks that each rule refuses some identity and allows another.
func TestIdentitiesAreAll(t *testing.T) {
	for _, a := range slices.Concat(uses(), changes()) {
		verdicts := map[unix.Errno]bool{}
		for _, i := range identities() {
			for mode := range 512 {
				verdicts[a.rule(i, mode)] = true
			}
		}
		always := strings.HasSuffix(a.name, " Open") && a.rule(identity{uid: stranger}, 0) == 0 || strings.HasSuffix(a.name, " StatAny")
		if len(verdicts) != 2 && !always {
			t.Errorf("%s: every verdict is %v", a.name, verdicts)
		}
	}
}
