package inventory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) {
	ipctest.Play(map[string]ipctest.Role{
		"attach":      playAttach,
		"attached":    playAttached,
		"make":        playMake,
		"make giants": playMakeGiants,
		"operate":     playOperate,
		"receive":     playReceive,
		"send":        playSend,
		"lock two":    playLockTwo,
		"view":        playView,
		"look back":   playLookBack,
		"denied":      playDenied,
		"use":         playUse,
		"map":         playMap,
		"furnish":     playFurnish,
		"fuse":        playFUSE,
	})
	ipctest.MainPOSIX(m)
}

// nobody is a user who owns nothing.
var nobody = &syscall.Credential{Uid: uint32(ipctest.User(1)), Gid: uint32(ipctest.User(1))}

// patience is how long a test waits for what should happen at once.
const patience = 30 * time.Second

func numbers(args []string) []int {
	var list []int
	for _, a := range args {
		n, err := strconv.Atoi(a)
		if err != nil {
			panic(err)
		}
		list = append(list, n)
	}
	return list
}

// playAttach attaches segments, read-only or not, and stays.
func playAttach(args []string) error {
	for _, id := range numbers(args[1:]) {
		if _, err := sysv.Segment(id).Attach(&sysv.AttachOptions{ReadOnly: args[0] == "ro"}); err != nil {
			return err
		}
	}
	fmt.Println("attached")
	ipctest.Told()
	return nil
}

// playMake makes and uses an object of each kind, and stays until it is told.
func playMake([]string) error {
	seg, err := sysv.CreateSegment(sysv.Private, 4096, nil)
	if err != nil {
		return err
	}
	set, err := sysv.CreateSet(sysv.Private, 2, nil)
	if err != nil {
		return err
	}
	if err := set.SetValues([]uint16{1, 0}); err != nil {
		return err
	}
	queue, err := sysv.CreateQueue(sysv.Private, nil)
	if err != nil {
		return err
	}
	if _, err := queue.TrySend(3, []byte("left behind")); err != nil {
		return err
	}
	fmt.Println(int(seg), int(set), int(queue))
	ipctest.Told()
	return nil
}

// playOperate performs operations given as number, amount and whether to undo them.
func playOperate(args []string) error {
	n := numbers(args)
	var ops []sysv.Op
	for rest := n[2:]; len(rest) > 0; rest = rest[3:] {
		ops = append(ops, sysv.Op{Num: uint16(rest[0]), Add: int16(rest[1]), Undo: rest[2] != 0})
	}
	fmt.Println("ready")
	if timeout := time.Duration(n[1]) * time.Second; timeout > 0 {
		return ipctest.Semtimedop(n[0], timeout, ops...)
	}
	return sysv.Set(n[0]).Do(context.Background(), ops...)
}

func playReceive(args []string) error {
	n := numbers(args)
	fmt.Println("ready")
	_, _, err := sysv.Queue(n[0]).Receive(context.Background(), make([]byte, n[1]), sysv.ReceiveOptions{Type: n[2], Except: n[3] != 0})
	return err
}

func playSend(args []string) error {
	n := numbers(args)
	fmt.Println("ready")
	return sysv.Queue(n[0]).Send(context.Background(), n[1], make([]byte, n[2]))
}

// playLockTwo takes a semaphore, given by its set and number, and then another one when it
// is told to.
func playLockTwo(args []string) error {
	for pair := range slices.Chunk(numbers(args), 2) {
		if err := sysv.Set(pair[0]).Do(context.Background(), sysv.Op{Num: uint16(pair[1]), Add: -1, Undo: true}); err != nil {
			return err
		}
		fmt.Println("locked")
		ipctest.Told()
	}
	return nil
}

// playView prints what this process sees.
func playView([]string) error {
	inv, err := Collect(Options{Want: everything})
	return view(inv, err)
}

func view(inv *Inventory, err error) error {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	for i := range inv.Hidden.Processes {
		inv.Hidden.Processes[i].Why = nil // JSON has no errors
	}
	for i := range inv.Objects {
		inv.Objects[i].Use.Unread = nil
	}
	return json.NewEncoder(os.Stdout).Encode(inv)
}

// playLookBack looks from a namespace of its own into that of another process.
func playLookBack(args []string) error {
	list, _, err := Namespaces("")
	if err != nil {
		return err
	}
	pid := numbers(args)[0]
	for _, n := range list {
		if n.Own || !slices.Contains(n.PIDs, pid) {
			continue
		}
		return n.Do(func() error { return view(Collect(Options{Want: everything})) })
	}
	return fmt.Errorf("process %d is in none of %+v", pid, list)
}

// playDenied tries to see the namespace of a process of another user, and to enter
// it.
func playDenied(args []string) error {
	pid := numbers(args)[0]
	list, hidden, err := Namespaces("")
	if err != nil {
		return err
	}
	for _, n := range list {
		if slices.Contains(n.PIDs, pid) {
			return fmt.Errorf("process %d is seen in %+v", pid, n)
		}
	}
	if hidden.Any() {
		fmt.Print("hidden, ")
	}
	err = Namespace{Inode: 1, PIDs: []int{pid}}.Do(func() error { return nil })
	if errors.Is(err, fs.ErrPermission) {
		fmt.Println("denied")
		return nil
	}
	return err
}

const everything = WantMemory | WantAttached | WantWaiting | WantVerdict | WantProgram | WantContainers

func createSegment(t testing.TB, key sysv.Key, size int64, mode fs.FileMode) sysv.Segment {
	t.Helper()
	s, err := sysv.CreateSegment(key, size, &sysv.SegmentOptions{Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, s) })
	return s
}

func createSet(t testing.TB, key sysv.Key, mode fs.FileMode, values ...uint16) sysv.Set {
	t.Helper()
	s, err := sysv.CreateSet(key, len(values), &sysv.SetOptions{Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, s) })
	if err := s.SetValues(values); err != nil {
		t.Fatal(err)
	}
	return s
}

func createQueue(t testing.TB, key sysv.Key, mode fs.FileMode) sysv.Queue {
	t.Helper()
	q, err := sysv.CreateQueue(key, &sysv.QueueOptions{Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, q) })
	return q
}

// remove removes an object that may be gone.
func remove(t testing.TB, o interface{ Remove() error }) {
	t.Helper()
	if err := o.Remove(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// start starts a role and waits for its first line.
func start(t testing.TB, role string, credential *syscall.Credential, args ...any) *ipctest.Process {
	t.Helper()
	p := ipctest.Start(t, role, credential, words(args)...)
	p.Line()
	return p
}

func words(args []any) (list []string) {
	for _, a := range args {
		list = append(list, fmt.Sprint(a))
	}
	return list
}

// startApart starts a role through a program that isolates it, such as unshare.
func startApart(t testing.TB, role string, by []string, args ...any) *ipctest.Process {
	t.Helper()
	ipctest.SkipUnderQEMU(t, "it cannot start the test program again")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := append(slices.Clone(by), "env", "GIPC_TEST_ROLE="+role, exe)
	return ipctest.Run(t, command[0], append(command[1:], words(args)...)...)
}

func collectAll(t testing.TB, o Options) *Inventory {
	t.Helper()
	inv, err := Collect(o)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// await collects until there returns true: the kernel offers no event for a thread that
// falls asleep.
func await(t testing.TB, o Options, there func(*Inventory) bool) *Inventory {
	t.Helper()
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		inv := collectAll(t, o)
		if there(inv) {
			return inv
		}
		if time.Now().After(deadline) {
			t.Fatalf("not there after %v: %s", patience, dump(inv))
		}
	}
}

// waiting reports whether an object has n waiters.
func waiting(kind ref.Kind, id, n int) func(*Inventory) bool {
	return func(inv *Inventory) bool {
		o := inv.find(kind, id)
		return o != nil && len(o.Use.Waiting) == n
	}
}

func (inv *Inventory) find(kind ref.Kind, id int) *Object {
	for i := range inv.Objects {
		if o := &inv.Objects[i]; o.Kind == kind && o.ID() == id {
			return o
		}
	}
	return nil
}

func find(t testing.TB, inv *Inventory, kind ref.Kind, id int) *Object {
	t.Helper()
	o := inv.find(kind, id)
	if o == nil {
		t.Fatalf("no %v:%d in %s", kind, id, dump(inv))
	}
	return o
}

func parseView(t testing.TB, text string) *Inventory {
	t.Helper()
	inv := new(Inventory)
	if err := json.NewDecoder(bytes.NewReader([]byte(text))).Decode(inv); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return inv
}
