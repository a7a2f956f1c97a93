package posix_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
)

// patience is how long a test waits for something that should happen at once.
const patience = 30 * time.Second

// createSemaphore creates a semaphore until the end of the test.
func createSemaphore(t testing.TB, name string, value int) *posix.Semaphore {
	t.Helper()
	s, err := posix.CreateSemaphore(name, value, nil)
	must(t, err)
	t.Cleanup(func() {
		if err := s.Close(); !errors.Is(err, posix.ErrUnmapped) {
			must(t, err)
		}
		must(t, posix.UnlinkSemaphore(name))
	})
	return s
}

// wantValue fails the test if the value of s is not want.
func wantValue(t testing.TB, s *posix.Semaphore, want int) {
	t.Helper()
	if v, err := s.Value(); v != want || err != nil {
		t.Errorf("value %d, %v, want %d", v, err, want)
	}
}

// awaitWaiters waits until s has want waiters.
func awaitWaiters(t testing.TB, s *posix.Semaphore, want int) {
	t.Helper()
	for begin := time.Now(); ; runtime.Gosched() {
		n, err := s.Waiters()
		must(t, err)
		if n == want {
			return
		}
		if time.Since(begin) > patience {
			t.Fatalf("%d wait, want %d", n, want)
		}
	}
}

func TestSemaphore(t *testing.T) {
	s := createSemaphore(t, "/s", 2)
	if s.Name() != "/s" {
		t.Errorf("Name() = %q", s.Name())
	}
	wantValue(t, s, 2)
	must(t, s.Acquire(t.Context(), 1))
	if ok, err := s.TryAcquire(1); !ok || err != nil {
		t.Errorf("TryP = %v, %v", ok, err)
	}
	if ok, err := s.TryAcquire(1); ok || err != nil {
		t.Errorf("TryP at 0 = %v, %v", ok, err)
	}
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	wantErr(t, s.Acquire(ctx, 1), context.DeadlineExceeded)
	if d := time.Since(begin); d < 30*time.Millisecond {
		t.Errorf("P gave up after %v", d)
	}
	must(t, s.Release(1))
	must(t, s.Acquire(t.Context(), 1))
	if n, err := s.Waiters(); n != 0 || err != nil {
		t.Errorf("%d wait, %v", n, err)
	}

	again, err := posix.OpenSemaphore("s")
	must(t, err)
	must(t, again.Release(1))
	wantValue(t, s, 1)
	must(t, again.Close())
	// An existing semaphore keeps its value.
	again, _, err = posix.OpenOrCreateSemaphore("/s", 77, nil)
	must(t, err)
	wantValue(t, again, 1)
	must(t, again.Close())
	_, err = posix.CreateSemaphore("/s", 77, nil)
	wantErr(t, err, fs.ErrExist)
}

func TestSemaphoreErrors(t *testing.T) {
	_, err := posix.OpenSemaphore("/none")
	wantErr(t, err, fs.ErrNotExist)
	wantErr(t, posix.UnlinkSemaphore("/none"), fs.ErrNotExist)
	for _, value := range []int64{-1, posix.MaxSemaphore + 1} {
		if int64(int(value)) != value {
			continue // no such int on this architecture
		}
		_, err = posix.CreateSemaphore("/none", int(value), nil)
		wantErr(t, err, unix.EINVAL)
	}
	_, err = posix.CreateSemaphore("/none", 0, &posix.SemaphoreOptions{Mode: fs.ModeDir})
	wantErr(t, err, unix.EINVAL)
	if exists("/dev/shm/sem.none") {
		t.Error("a semaphore was made in spite of the error")
	}

	s := createSemaphore(t, "/full", posix.MaxSemaphore)
	wantErr(t, s.Release(1), unix.EOVERFLOW)
	wantValue(t, s, posix.MaxSemaphore)
	must(t, s.Acquire(t.Context(), 1))
	must(t, s.Release(1))
}

func TestNotASemaphore(t *testing.T) {
	marked := func(size, at int, head ...byte) []byte {
		b := make([]byte, size)
		copy(b, head)
		copy(b[at:], []byte{128, 0, 0, 0})
		if runtime.GOARCH == "s390x" {
			copy(b[at:], []byte{0, 0, 0, 128})
		}
		return b
	}
	ff := bytes.Repeat([]byte{255}, 8)
	for _, tt := range []struct {
		what    string
		content []byte
	}{
		{"empty", nil},
		{"text", []byte("hello")},
		{"too short", make([]byte, 15)},
		{"one byte too long", marked(33, 8)},
		{"a page", make([]byte, 4096)},
		{"zeros of the right size: private, or musl's", make([]byte, 32)},
		{"zeros of the 32-bit size", make([]byte, 16)},
		{"noise", bytes.Repeat([]byte{0x5a}, 32)},
		{"64-bit layout in a 32-bit file", marked(16, 8)},
		{"32-bit layout in a 64-bit file", marked(32, 4)},
		{"a value too high", marked(32, 8, ff...)},
	} {
		must(t, os.WriteFile("/dev/shm/sem.bad", tt.content, 0o600))
		if s, err := posix.OpenSemaphore("/bad"); !errors.Is(err, posix.ErrNotSemaphore) {
			t.Errorf("%s: %v, %v, want ErrNotSemaphore", tt.what, s, err)
		}
		if s, _, err := posix.OpenOrCreateSemaphore("/bad", 1, nil); !errors.Is(err, posix.ErrNotSemaphore) {
			t.Errorf("create over %s: %v, %v, want ErrNotSemaphore", tt.what, s, err)
		}
		if got, _ := os.ReadFile("/dev/shm/sem.bad"); !bytes.Equal(got, tt.content) {
			t.Errorf("%s: the file was changed", tt.what)
		}
		must(t, posix.UnlinkSemaphore("/bad"))
	}
	must(t, os.Symlink("sem.bad", "/dev/shm/sem.link"))
	_, err := posix.OpenSemaphore("/link")
	wantErr(t, err, unix.ELOOP)
	must(t, posix.UnlinkSemaphore("/link"))
}

func TestSemaphores(t *testing.T) {
	createSemaphore(t, "/b", 7)
	createSemaphore(t, "/a", 0)
	create(t, "/object", 32)
	for name, content := range map[string]string{"sem.bad": "no semaphore", "sem.": ""} {
		must(t, os.WriteFile("/dev/shm/"+name, []byte(content), 0o600))
		defer os.Remove("/dev/shm/" + name)
	}
	var got []string
	for info, err := range posix.Semaphores() {
		must(t, err)
		got = append(got, fmt.Sprint(info.Name, " ", info.Known, " ", info.Value, " ", info.Bits, " ", info.Mode))
	}
	bits := strconv.Itoa(strconv.IntSize)
	want := []string{"/a true 0 " + bits + " -rw-------", "/b true 7 " + bits + " -rw-------", "/bad false 0 0 -rw-------"}
	if !slices.Equal(got, want) {
		t.Errorf("Semaphores = %q, want %q", got, want)
	}
	for range posix.Semaphores() {
		break
	}
}

func TestAcquireCancelled(t *testing.T) {
	s := createSemaphore(t, "/s", 0)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Acquire(ctx, 1) }()
	awaitWaiters(t, s, 1)
	cancel()
	err := <-done
	wantErr(t, err, context.Canceled)
	if !strings.HasPrefix(fmt.Sprint(err), "sem_wait /s: ") {
		t.Errorf("error %q", err)
	}
	awaitWaiters(t, s, 0)
	wantErr(t, s.Acquire(ctx, 1), context.Canceled)
	must(t, s.Release(1))
	wantErr(t, s.Acquire(ctx, 1), context.Canceled) // although the value is 1
	wantValue(t, s, 1)
}

// Close ends the use of a semaphore, but fails while a goroutine waits for it.
func TestSemaphoreClose(t *testing.T) {
	s := createSemaphore(t, "/s", 0)
	done := make(chan error, 1)
	go func() { done <- s.Acquire(context.Background(), 1) }()
	awaitWaiters(t, s, 1)
	wantErr(t, s.Close(), unix.EBUSY)
	must(t, s.Release(1))
	must(t, <-done)
	must(t, s.Close())
	for what, err := range map[string]error{
		"P": s.Acquire(t.Context(), 1), "V": s.Release(1),
		"TryP": second(s.TryAcquire(1)), "Value": second(s.Value()), "Waiters": second(s.Waiters()), "Close": s.Close(),
	} {
		if !errors.Is(err, posix.ErrUnmapped) {
			t.Errorf("%s after Close: %v, want ErrUnmapped", what, err)
		}
	}
}

// Close may come at any moment and does no harm to users of the semaphore.
func TestSemaphoreCloseInUse(t *testing.T) {
	createSemaphore(t, "/s", 1)
	for range 300 {
		s, err := posix.OpenSemaphore("/s")
		must(t, err)
		started, done := make(chan struct{}), make(chan error, 1)
		go func() {
			close(started)
			for {
				ok, err := s.TryAcquire(1)
				if err == nil && ok {
					err = s.Release(1)
				}
				if err != nil {
					done <- err
					return
				}
			}
		}()
		<-started
		time.Sleep(time.Duration(rand.IntN(100)) * time.Microsecond)
		must(t, s.Close())
		wantErr(t, <-done, posix.ErrUnmapped)
	}
}

// The memory that replaces a closed semaphore is freed with the Semaphore.
func TestSemaphoreCloseLeavesNothing(t *testing.T) {
	createSemaphore(t, "/s", 1)
	pages := func() (n int) {
		text, err := os.ReadFile("/proc/self/statm")
		must(t, err)
		_, err = fmt.Sscan(string(text), &n)
		must(t, err)
		return n
	}
	before := pages()
	const opened = 60_000 // the heap may grow by an arena of 16,384 pages
	for range opened {
		s, err := posix.OpenSemaphore("/s")
		must(t, err)
		must(t, s.Release(1))
		must(t, s.Close())
	}
	for begin := time.Now(); pages()-before > opened/2; {
		if runtime.GC(); time.Since(begin) > patience {
			t.Fatalf("%d pages more than before", pages()-before)
		}
	}
}

// Release adds several one at a time; Acquire takes only one.
func TestSemaphoreSeveral(t *testing.T) {
	s := createSemaphore(t, "/s", 0)
	must(t, s.Release(5))
	wantValue(t, s, 5)
	wantErr(t, s.Release(0), unix.EINVAL)
	wantErr(t, s.Release(-1), unix.EINVAL)
	wantErr(t, s.Acquire(t.Context(), 2), unix.EINVAL)
	wantErr(t, second(s.TryAcquire(0)), unix.EINVAL)
	wantValue(t, s, 5)
	done := make(chan error)
	for range 7 {
		go func() { done <- s.Acquire(t.Context(), 1) }()
	}
	awaitWaiters(t, s, 2)
	must(t, s.Release(2))
	for range 7 {
		must(t, <-done)
	}
	wantValue(t, s, 0)
}

func TestSemaphoreInMapping(t *testing.T) {
	o, m := mapped(t, 4096, nil)
	_, err := posix.SemaphoreAt(m, 128)
	wantErr(t, err, posix.ErrNotSemaphore)
	s, err := posix.InitSemaphore(m, 128, 3)
	must(t, err)
	if want := "/mapped at offset 128"; s.Name() != want {
		t.Errorf("Name() = %q, want %q", s.Name(), want)
	}
	other, err := o.Map(nil)
	must(t, err)
	defer other.Unmap()
	same, err := posix.SemaphoreAt(other, 128)
	must(t, err)
	must(t, same.Acquire(t.Context(), 1))
	wantValue(t, s, 2)
	must(t, s.Close()) // has no effect
	must(t, s.Release(1))

	last := 4096 - posix.SemaphoreSize
	_, err = posix.InitSemaphore(m, last, 1)
	must(t, err)
	_, err = posix.InitSemaphore(m, 4096-posix.SemaphoreSize/2, 1)
	wantErr(t, err, posix.ErrBounds)
	for _, off := range []int{-16, 4090, 4096, 1 << 30} {
		_, err = posix.InitSemaphore(m, off, 1)
		wantErr(t, err, posix.ErrBounds)
		_, err = posix.SemaphoreAt(m, off)
		wantErr(t, err, posix.ErrBounds)
	}
	_, err = posix.InitSemaphore(m, 130, 1)
	wantErr(t, err, posix.ErrAlignment)
	_, err = posix.InitSemaphore(m, 128, -1)
	wantErr(t, err, unix.EINVAL)
	wantValue(t, s, 3)

	// A waiter keeps the mapping.
	empty, err := posix.InitSemaphore(m, 256, 0)
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- empty.Acquire(context.Background(), 1) }()
	awaitWaiters(t, empty, 1)
	wantErr(t, m.Unmap(), unix.EBUSY)
	must(t, empty.Release(1))
	must(t, <-done)
	must(t, m.Unmap())
	wantErr(t, s.Release(1), posix.ErrUnmapped)
	wantErr(t, s.Acquire(t.Context(), 1), posix.ErrUnmapped)
}

// The memory of a semaphore is truncated while a goroutine waits for it.
func TestTruncatedUnderWaiter(t *testing.T) {
	skipLostAddress(t)
	o, m := mapped(t, 4096, nil)
	s, err := posix.InitSemaphore(m, 0, 0)
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Acquire(t.Context(), 1) }()
	awaitWaiters(t, s, 1)
	must(t, o.Truncate(0))
	wantErr(t, <-done, posix.ErrFault)
}

// Many wait, and each Release lets exactly one of them go on.
func TestManyWaiters(t *testing.T) {
	s := createSemaphore(t, "/s", 0)
	const waiters = 100
	done := make(chan error, waiters)
	for range waiters {
		go func() { done <- s.Acquire(context.Background(), 1) }()
	}
	awaitWaiters(t, s, waiters)
	for range waiters {
		must(t, s.Release(1))
		must(t, <-done)
	}
	wantValue(t, s, 0)
	awaitWaiters(t, s, 0)
}

// peers returns the C programs that share semaphores with this process.
func peers(t *testing.T) map[string][]string {
	t.Helper()
	peers := map[string][]string{strconv.Itoa(strconv.IntSize) + " bits": nil}
	if ipctest.Runs32(t) {
		peers["32 bits"] = compilers["386"]
	}
	return peers
}

// The counter under the semaphore is correct, and both programs finish, though each takes
// the semaphore a million times.
func TestContendWithC(t *testing.T) {
	count := 1_000_000
	if testing.Short() || ipctest.UnderQEMU() {
		count = 20_000
	}
	for name, cc := range peers(t) {
		for _, creator := range []string{"Go", "C"} {
			t.Run(name+" created by "+creator, func(t *testing.T) {
				program := compile(t, cc...)
				s := semaphoreBy(t, creator, name, program, "/contend", 1)
				o := create(t, "/counter", 4096)
				m, err := o.Map(nil)
				must(t, err)
				defer m.Unmap()
				counter, err := posix.View[int32](m, 0)
				must(t, err)
				peer := start(t, program, "lock", "/contend", "/counter", strconv.Itoa(count))
				peer.Line()
				ctx, cancel := context.WithTimeout(t.Context(), 10*patience)
				defer cancel()
				for range count {
					must(t, s.Acquire(ctx, 1))
					*counter++
					must(t, s.Release(1))
				}
				peer.Wait()
				if int(*counter) != 2*count {
					t.Errorf("counted %d, want %d: two were in at once", *counter, 2*count)
				}
				wantValue(t, s, 1)
				awaitWaiters(t, s, 0)
			})
		}
	}
}

// semaphoreBy creates a semaphore in C or in Go, and opens it in Go. A Go program cannot
// create one for programs of another word size.
func semaphoreBy(t *testing.T, creator, bits, program, name string, value int) *posix.Semaphore {
	t.Helper()
	if creator == "Go" {
		if !strings.HasPrefix(bits, strconv.Itoa(strconv.IntSize)) {
			t.Skip("Go makes semaphores of its own word size")
		}
		return createSemaphore(t, name, value)
	}
	output(t, program, "sem-create", name, strconv.Itoa(value))
	s, err := posix.OpenSemaphore(name)
	must(t, err)
	t.Cleanup(func() {
		must(t, s.Close())
		must(t, posix.UnlinkSemaphore(name))
	})
	wantValue(t, s, value)
	return s
}

// With two semaphores, each side waits for the other every time.
func TestPingPongWithC(t *testing.T) {
	count := 200_000
	if testing.Short() || ipctest.UnderQEMU() {
		count = 5000
	}
	for name, cc := range peers(t) {
		t.Run(name, func(t *testing.T) {
			program := compile(t, cc...)
			ping := semaphoreBy(t, "C", name, program, "/ping", 0)
			pong := semaphoreBy(t, "C", name, program, "/pong", 0)
			peer := start(t, program, "pingpong", "/ping", "/pong", strconv.Itoa(count))
			peer.Line()
			for range count {
				must(t, ping.Release(1))
				must(t, pong.Acquire(t.Context(), 1))
			}
			peer.Wait()
			for _, s := range []*posix.Semaphore{ping, pong} {
				wantValue(t, s, 0)
				awaitWaiters(t, s, 0)
			}
			// Nothing is left that would make a Release wake a waiter that is gone.
			if text, err := os.ReadFile("/dev/shm/sem.pong"); err != nil || !bytes.Equal(text[:4], make([]byte, 4)) {
				t.Errorf("the file begins with %x, %v", text, err)
			}
		})
	}
}

func TestSemaphoreValueAgainstC(t *testing.T) {
	program := compile(t)
	createSemaphore(t, "/s", 42)
	if got := output(t, program, "sem-value", "/s"); got != "42" {
		t.Errorf("sem_getvalue = %s, want 42", got)
	}
}

// TestSemInitAgainstC uses a semaphore that C has initialised in a mapping with sem_init.
func TestSemInitAgainstC(t *testing.T) {
	program := compile(t)
	_, m := mapped(t, 4096, nil)
	peer := start(t, program, "sem-init", "/mapped", "1", "0")
	peer.Line()
	s, err := posix.SemaphoreAt(m, 0)
	must(t, err)
	awaitWaiters(t, s, 1)
	must(t, s.Release(1))
	if got := peer.Line(); got != "got it" {
		t.Errorf("C says %q", got)
	}
	peer.Wait()

	peer = start(t, program, "sem-init", "/mapped", "0", "1")
	peer.Line()
	_, err = posix.SemaphoreAt(m, 0)
	wantErr(t, err, posix.ErrNotSemaphore)
	peer.Wait()
}

// musl's semaphores have the same size but another layout, and their files other names.
func TestMuslSemaphore(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("musl-gcc makes programs for amd64")
	}
	program := compile(t, "musl-gcc", "-static")
	output(t, program, "sem-create", "/musl", "1")
	_, err := posix.OpenSemaphore("/musl")
	wantErr(t, err, fs.ErrNotExist)
	must(t, os.Rename("/dev/shm/musl", "/dev/shm/sem.musl"))
	defer posix.UnlinkSemaphore("/musl")
	_, err = posix.OpenSemaphore("/musl")
	wantErr(t, err, posix.ErrNotSemaphore)
	if !strings.Contains(fmt.Sprint(err), "musl") {
		t.Errorf("error %q does not tell of musl", err)
	}
}

// playLock acquires and releases a semaphore forever.
func playLock(args []string) error {
	s, err := posix.OpenSemaphore(args[0])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		if err := errors.Join(s.Acquire(context.Background(), 1), s.Release(1)); err != nil {
			return err
		}
	}
}

// playConsume acquires a semaphore forever.
func playConsume(args []string) error {
	s, err := posix.OpenSemaphore(args[0])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		if err := s.Acquire(context.Background(), 1); err != nil {
			return err
		}
	}
}

// playWait waits for a semaphore once.
func playWait(args []string) error {
	s, err := posix.OpenSemaphore(args[0])
	if err != nil {
		return err
	}
	err = s.Acquire(context.Background(), 1)
	fmt.Println("got it")
	return err
}

// killers returns functions that start a process that uses the semaphore as the other
// side.
func killers(t *testing.T, name string) map[string]func() *ipctest.Process {
	program := compile(t)
	create(t, "/killed", 4096)
	return map[string]func() *ipctest.Process{
		"C":  func() *ipctest.Process { return start(t, program, "lock", name, "/killed", "1000000000") },
		"Go": func() *ipctest.Process { return ipctest.Start(t, "lock", nil, name) },
	}
}

// A contender for the semaphore is killed. If it held the semaphore, it holds it forever,
// as POSIX semaphores are defined, and the test releases it. If not, a waiter gets it,
// even if the killed process did not wake it.
func TestKilledContender(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it cannot start the test program again")
	s := createSemaphore(t, "/kill", 1)
	for name, start := range killers(t, "/kill") {
		t.Run(name, func(t *testing.T) {
			rounds, lost := 0, 0
			for range ipctest.Rounds(t, 60, 1) {
				rounds++
				peer := start()
				peer.Line()
				stop, done := make(chan struct{}), make(chan error, 1)
				go func() { // contends until told to stop
					for {
						select {
						case <-stop:
							done <- nil
							return
						default:
							if err := errors.Join(s.Acquire(context.Background(), 1), s.Release(1)); err != nil {
								done <- err
								return
							}
						}
					}
				}()
				time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
				peer.Kill()
				close(stop)
				select {
				case err := <-done:
					must(t, err)
				case <-time.After(5 * time.Second / 2):
					// It held the semaphore when it died, so nobody else has it, and the
					// value is 0.
					wantValue(t, s, 0)
					lost++
					must(t, s.Release(1))
					must(t, <-done)
				}
				if v, _ := s.Value(); v == 0 { // it held the semaphore, and nobody waited
					lost++
					must(t, s.Release(1))
				}
				wantValue(t, s, 1)
			}
			t.Logf("%d of %d held the semaphore when they were killed", lost, rounds)
		})
	}
}

// A waiter is killed. It stays counted, and later waiters still get what they wait for.
func TestKilledWaiter(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it cannot start the test program again")
	s := createSemaphore(t, "/kill", 0)
	const killed = 10
	for n := range killed {
		p := ipctest.Start(t, "wait", nil, "/kill")
		awaitWaiters(t, s, n+1)
		p.Kill()
	}
	wantValue(t, s, 0)
	p := ipctest.Start(t, "wait", nil, "/kill")
	awaitWaiters(t, s, killed+1)
	must(t, s.Release(1))
	if got := p.Line(); got != "got it" {
		t.Errorf("the other says %q", got)
	}
	p.Wait()
	awaitWaiters(t, s, killed)
}

// awaitAsleep waits until a thread of this process is in a system call whose first
// argument is in the eight bytes at addr.
func awaitAsleep(t *testing.T, addr uintptr) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < patience; runtime.Gosched() {
		tasks, err := filepath.Glob("/proc/self/task/*/syscall")
		must(t, err)
		for _, task := range tasks {
			text, _ := os.ReadFile(task) // the thread may be gone
			var call, arg uintptr
			if n, _ := fmt.Sscanf(string(text), "%d %v", &call, &arg); n == 2 && arg&^7 == addr {
				return
			}
		}
	}
	t.Fatal("nobody sleeps")
}

// A process adds to the semaphore and is killed before it wakes the waiter. The waiter
// notices by itself.
func TestLostWakeUp(t *testing.T) {
	if strconv.IntSize == 32 {
		ipctest.SkipUnderQEMU(t, "addresses are not those that /proc shows")
	}
	_, m := mapped(t, 4096, nil)
	s, err := posix.InitSemaphore(m, 0, 0)
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Acquire(t.Context(), 1) }()
	awaitAsleep(t, m.Addr())
	value := []byte{1}
	off := int64(0)
	switch {
	case runtime.GOARCH == "s390x":
		off = 7
	case strconv.IntSize == 32:
		value[0] = 1<<1 | 1
	}
	_, err = m.WriteAt(value, off)
	must(t, err)
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(patience):
		t.Fatal("still asleep")
	}
}

// TestKilledConsumers kills all consumers but one again and again. The units that they
// took are lost. All other units stay available, and no consumer sleeps while the value is
// above 0.
func TestKilledConsumers(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it cannot start the test program again")
	s := createSemaphore(t, "/kill", 0)
	survivor := ipctest.Start(t, "consume", nil, "/kill")
	survivor.Line()
	for range ipctest.Rounds(t, 40, 1, survivor.PID()) {
		p := ipctest.Start(t, "consume", nil, "/kill")
		p.Line()
		stop := make(chan struct{})
		added := make(chan error, 1)
		go func() {
			for {
				select {
				case <-stop:
					added <- nil
					return
				default:
					if err := s.Release(1); err != nil {
						added <- err
						return
					}
					if rand.IntN(4) == 0 { // so that they go to sleep at times
						time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
					}
				}
			}
		}()
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
		p.Kill()
		close(stop)
		must(t, <-added)
		for began := time.Now(); ; time.Sleep(50 * time.Microsecond) {
			left, err := s.Value()
			must(t, err)
			if left == 0 {
				break
			}
			if time.Since(began) > patience {
				t.Fatalf("%d are left, and the survivor sleeps", left)
			}
		}
	}
}
