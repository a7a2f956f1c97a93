package shmring_test

import (
	"bufio"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/shmsync"
)

// These tests are for gipc_broadcast.h, gipc_cell.h and gipc_lock.h. TestPeers and the
// tests after it are for gipc_ring.h.

// sanitizers make a C program fail at undefined behaviour and at accesses outside its
// memory.
var sanitizers = []string{"-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"}

// writeMessages sends COUNT messages of a broadcast.
func writeMessages(args []string) error {
	b, err := inherited(3, shmring.OpenBroadcastIn)
	if err != nil {
		return err
	}
	w, err := b.JoinWriter(nil)
	if err != nil {
		return err
	}
	for range number(args[0]) {
		if err := sendNext(context.Background(), w); err != nil {
			return err
		}
	}
	return w.Close()
}

// readMessages receives the messages of a broadcast to the end, with POLICY, and prints how
// many it has received and lost.
func readMessages(args []string) error {
	b, err := inherited(3, shmring.OpenBroadcastIn)
	if err != nil {
		return err
	}
	s, err := b.Subscribe(shmring.Policy(number(args[0])), nil)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	received := 0
	for {
		err := receiveNext(context.Background(), s)
		switch {
		case errors.Is(err, io.EOF):
			fmt.Println(received, s.Lost())
			return s.Close()
		case err != nil:
			return err
		}
		received++
	}
}

// makersWith returns a maker for each implementation.
func makersWith(t *testing.T, program string) map[string]maker {
	t.Helper()
	all := map[string]maker{"Go": makerOfGo(t, self(t)), "C": makerOfC(compileC(t, program))}
	if ipctest.Runs32(t) {
		all["Go on 386"] = makerOfGo(t, build(t, "386"))
		if _, err := exec.LookPath("i686-linux-gnu-gcc"); err == nil {
			all["C of 32 bits"] = makerOfC(compileC32(t, program))
		}
	}
	return all
}

// TestBroadcastPeers lets a writer of each implementation send to readers of all
// implementations at once. Readers that block receive everything; the others know how many
// messages they lost.
func TestBroadcastPeers(t *testing.T) {
	count := 20_000
	if testing.Short() {
		count /= 10
	}
	makers := makersWith(t, "broadcast")
	for from, write := range makers {
		t.Run("from "+from, func(t *testing.T) { broadcastBetween(t, count, write, makers) })
	}
}

// broadcastBetween starts a writer, and readers of both policies of each implementation.
func broadcastBetween(t *testing.T, count int, write maker, makers map[string]maker) {
	_, f := newBroadcast(t, 16<<10)
	var readers []func()
	for to, read := range makers {
		for policy := 1; policy <= 2; policy++ {
			cmd := read(f, "read", policy)
			out := startReading(t, cmd)
			readers = append(readers, func() { arrived(t, fmt.Sprint(to, " with policy ", policy), out, cmd, count) })
		}
	}
	must(t, write(f, "write", count))
	together(readers...)
}

// startReading starts a child and returns what it prints after "ready".
func startReading(t *testing.T, cmd *exec.Cmd) *bufio.Reader {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	noError(t, err)
	noError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	out := bufio.NewReader(stdout)
	if line, err := out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("child said %q, %v, want ready", line, err)
	}
	return out
}

func arrived(t *testing.T, what string, out *bufio.Reader, cmd *exec.Cmd, count int) {
	var received, lost int
	line, _ := out.ReadString('\n')
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if _, err := fmt.Sscan(line, &received, &lost); err != nil || received+lost != count || lost > 0 && strings.HasSuffix(what, "1") {
		t.Errorf("%s: received and lost %q, of %d", what, line, count)
	}
}

// TestBroadcastMadeByC opens a broadcast that the C program made.
func TestBroadcastMadeByC(t *testing.T) {
	_, f := shared(t, shmring.BroadcastSize(16<<10))
	must(t, command(compileC(t, "broadcast"), f, "create", 16<<10))
	m, err := posix.MapFile(f, nil)
	noError(t, err)
	b, err := shmring.OpenBroadcastIn(m)
	noError(t, err)
	s, w := subscribe(t, b, shmring.Block, nil), writer(t, b, nil)
	for range 100 {
		noError(t, sendNext(background(t), w))
		noError(t, receiveNext(background(t), s))
	}
	noError(t, errors.Join(s.Close(), w.Close(), b.Close(), m.Unmap()))
}

// TestHeaders compiles the C programs in several ways. They check what the functions
// return.
func TestHeaders(t *testing.T) {
	for _, name := range []string{"ring", "broadcast", "cell"} {
		t.Run(name, func(t *testing.T) {
			compileC(t, name) // skips the test without a compiler
			programs := map[string]string{
				"strict":    compileWith(t, name, "gcc", "-std=c11", "-D_GNU_SOURCE", "-pedantic", "-Wconversion", "-Wshadow"),
				"sanitized": compileWith(t, name, "gcc", sanitizers...),
			}
			if _, err := exec.LookPath("g++"); err == nil {
				programs["C++"] = compileWith(t, name, "g++", "-x", "c++", "-pedantic", "-Wconversion", "-Wshadow")
			}
			for how, program := range programs {
				t.Run(how, func(t *testing.T) {
					_, f := shared(t, 32<<10)
					must(t, command(program, f, "check"))
				})
			}
		})
	}
}

// TestObjectsOfC shares a named object with a C program. Neither side can remove it while
// the other uses it.
func TestObjectsOfC(t *testing.T) {
	const name = "/shmring-object-of-c"
	program := compileC(t, "ring")
	meet := func(first string) {
		ring, err := shmring.OpenOrCreate(background(t), name, &shmring.NamedOptions{Capacity: 4096})
		noError(t, err)
		c := command(program, nil, "object", name)
		stdin := startTold(t, c)
		if err := ring.Remove(); !errors.Is(err, shmring.ErrBusy) {
			t.Errorf("Remove = %v while C has it open, want ErrBusy", err)
		}
		if first == "remove" {
			noError(t, ring.Close())
		}
		_, err = io.WriteString(stdin, first+"\n")
		noError(t, errors.Join(err, c.Wait()))
		if first == "unlink" {
			noError(t, ring.Close())
		}
	}
	meet("remove")
	meet("unlink")

	c := command(program, nil, "object", name) // this one makes the object
	stdin := startTold(t, c)
	ring, err := shmring.OpenOrCreate(background(t), name, nil)
	noError(t, err)
	if ring.Capacity() != 4096 {
		t.Errorf("Capacity = %d, want that of the C program", ring.Capacity())
	}
	noError(t, errors.Join(ring.Unlink(), ring.Close()))
	_, err = io.WriteString(stdin, "remove\n")
	noError(t, errors.Join(err, c.Wait()))
}

// TestBroadcastOfCStopped stops a C reader that blocks, and kills it.
func TestBroadcastOfCStopped(t *testing.T) {
	ctx := background(t)
	program := compileC(t, "broadcast")
	b, f := newBroadcast(t, 1<<12)
	child := start(t, command(program, f, "subscriber", int(shmring.Block), "in C"))
	w := writer(t, b, &shmring.WriterOptions{MaxWait: 20 * time.Millisecond})
	var err error
	for err == nil {
		err = sendNext(ctx, w)
	}
	var e *shmring.SlowError
	if !errors.As(err, &e) || len(e.Readers) != 1 || e.Readers[0].PID != child.Process.Pid || e.Readers[0].Label != "in C" {
		t.Errorf("Send = %v, want process %d", err, child.Process.Pid)
	}
	kill(t, child)
	noError(t, sendNext(ctx, w))
}

// TestMadPeerOfC runs C programs with sanitizers while a peer writes garbage. Their calls
// may fail, but they must neither crash nor hang.
func TestMadPeerOfC(t *testing.T) {
	for _, c := range []struct {
		program, mad string
		create       func(f *os.File) error
		size         int
	}{
		{"broadcast", "madBroadcast", createBroadcastFile, shmring.BroadcastSize(16 << 10)},
		{"cell", "madCell", createCellFile, shmring.CellSize[page]()},
	} {
		t.Run(c.program, func(t *testing.T) {
			ipctest.SkipUnderQEMU(t, cannotStart)
			compileC(t, c.program) // skips the test without a compiler
			program := compileWith(t, c.program, "gcc", sanitizers...)
			_, f := shared(t, c.size)
			for trial := range ipctest.Rounds(t, 5, 2) {
				noError(t, c.create(f))
				victims := []*exec.Cmd{start(t, command(program, f, "survive")), start(t, command(program, f, "survive"))}
				mad := goPeer(t, self(t), f, c.mad, trial)
				noError(t, mad.Start())
				time.Sleep(200 * time.Millisecond)
				kill(t, mad)
				for _, victim := range victims {
					kill(t, victim) // fails if it has ended
				}
			}
		})
	}
}

func createBroadcastFile(f *os.File) error {
	m, err := posix.MapFile(f, nil)
	if err != nil {
		return err
	}
	b, err := shmring.CreateBroadcastIn(m, 0)
	if err != nil {
		return err
	}
	return errors.Join(b.Close(), m.Unmap())
}

func createCellFile(f *os.File) error {
	m, err := posix.MapFile(f, nil)
	if err != nil {
		return err
	}
	c, err := shmring.CreateCellIn[page](m)
	if err != nil {
		return err
	}
	return errors.Join(c.Close(), m.Unmap())
}

// TestCellPeers lets a program of each implementation watch the values that others store,
// and then kills those that store.
func TestCellPeers(t *testing.T) { storeAndWatch(t, 500, makersWith(t, "cell")) }

func storeAndWatch(t *testing.T, count int, makers map[string]maker) {
	ctx := background(t)
	c, f := newCell[page](t)
	var storers []*exec.Cmd
	for name, store := range makers {
		t.Logf("stores: %s", name)
		storers = append(storers, start(t, store(f, "storer")))
	}
	for name, m := range makers {
		watcher := m(f, "watch", count)
		startReading(t, watcher)
		if err := watcher.Wait(); err != nil {
			t.Errorf("watch, %s: %v", name, err)
		}
	}
	for _, s := range storers {
		kill(t, s)
	}
	_, version, err := c.Load()
	noError(t, err)
	for range 3 { // a dead process may have held the lock
		next, err := c.Store(ctx, page{})
		if err != nil || next <= version {
			t.Errorf("Store = %d, %v, after version %d", next, err, version)
		}
		version = next
	}
}

// watchPages waits for COUNT newer values.
func watchPages(args []string) error {
	c, err := inherited(3, shmring.OpenCellIn[page])
	if err != nil {
		return err
	}
	before, version, err := c.Load()
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for range number(args[0]) {
		v, newer, err := c.Wait(context.Background(), version)
		if err == nil {
			err = v.check()
		}
		if err == nil && (newer <= version || v.Words[0] < before.Words[0]) {
			err = fmt.Errorf("version %d after %d", newer, version)
		}
		if err != nil {
			return err
		}
		before, version = v, newer
	}
	return nil
}

// TestCellMadeByC opens a cell that the C program made.
func TestCellMadeByC(t *testing.T) {
	_, f := shared(t, shmring.CellSize[page]())
	must(t, command(compileC(t, "cell"), f, "create"))
	m, err := posix.MapFile(f, nil)
	noError(t, err)
	if _, err := shmring.OpenCellIn[[512]uint64](m); !errors.Is(err, shmring.ErrMismatch) {
		t.Errorf("OpenCellIn of another type = %v, want ErrMismatch", err)
	}
	c, err := shmring.OpenCellIn[page](m)
	noError(t, err)
	var v page
	v.fill(5)
	_, err = c.Store(background(t), v)
	noError(t, err)
	noError(t, errors.Join(c.Close(), m.Unmap()))
}

// TestKilledStoresOfC kills C programs that store, at random moments.
func TestKilledStoresOfC(t *testing.T) {
	program := compileC(t, "cell")
	c, f := newCell[page](t)
	killAll(t, 60, func(int) (*exec.Cmd, bool) {
		_, before, _ := c.Load()
		child := start(t, command(program, f, "storer"))
		return child, eventually(func() bool {
			v, version, err := c.Load()
			if err == nil {
				err = v.check()
			}
			if err != nil {
				t.Error(err)
			}
			return version > before
		})
	})
}

// TestLockOfC kills a process that holds a lock while C programs wait for it. Then C and Go
// count under the lock.
func TestLockOfC(t *testing.T) {
	const each = 50_000
	program := compileC(t, "cell")
	mem, f := shared(t, 4096)
	m, err := posix.MapFile(f, nil)
	noError(t, err)
	mu, err := shmsync.NewMutex(m, 0)
	noError(t, err)
	count := func() { must(t, command(program, f, "count", each)) }
	holder := start(t, command(program, f, "hold"))
	together(count, count, func() { kill(t, holder) })
	together(count, count, func() {
		for range each {
			err := mu.With(background(t), func(bool) error {
				n := binary.NativeEndian.Uint64(mem[64:])
				binary.NativeEndian.PutUint64(mem[64:], n+1)
				return nil
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	if n := binary.NativeEndian.Uint64(mem[64:]); n != 5*each {
		t.Errorf("counted to %d, want %d", n, 5*each)
	}
	noError(t, errors.Join(mu.Close(), m.Unmap()))
}

// library builds libgipc and returns its directory.
func library(t *testing.T) string {
	t.Helper()
	ipctest.SkipUnderQEMU(t, "the C compiler makes programs of this machine")
	for _, tool := range []string{"gcc", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("SKIPPED: no", tool, "to make libgipc with")
		}
	}
	return ipctest.Once(t, "libgipc", func(dir string) error {
		if out, err := exec.Command("make", "-s", "-C", "..", "lib", "CC=gcc", "CFLAGS=-Werror", "LIBOUT="+dir).CombinedOutput(); err != nil {
			return fmt.Errorf("make lib: %w\n%s", err, out)
		}
		return nil
	})
}

// TestLibrary compares the functions that libgipc exports with the API functions of the
// headers.
func TestLibrary(t *testing.T) {
	lib, err := elf.Open(filepath.Join(library(t), "libgipc.so.0"))
	noError(t, err)
	defer lib.Close()
	if names, err := lib.DynString(elf.DT_SONAME); err != nil || len(names) != 1 || names[0] != "libgipc.so.0" {
		t.Errorf("SONAME = %q, %v", names, err)
	}
	symbols, err := lib.DynamicSymbols()
	noError(t, err)
	var exported []string
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF && elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			exported = append(exported, s.Name)
		}
	}
	functions := []string{"gipc_sizeof"}
	headers, err := filepath.Glob("../include/*.h")
	noError(t, err)
	for _, header := range headers {
		text, err := os.ReadFile(header)
		noError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^GIPC_API .*?\b(gipc_\w+)\(`).FindAllSubmatch(text, -1) {
			functions = append(functions, string(m[1]))
		}
	}
	slices.Sort(exported)
	slices.Sort(functions)
	if !slices.Equal(exported, functions) || len(functions) < 50 {
		t.Errorf("libgipc exports %q, the headers have %q", exported, functions)
	}
}
