package posix_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
)

// An Unmap that fails again and again takes nothing away from users of the semaphores: a
// call that returns nil has done its work.
func TestUnmapFails(t *testing.T) {
	m, err := posix.MapAnonymous(page, nil)
	must(t, err)
	never, err := posix.InitSemaphore(m, 0, 0)
	must(t, err)
	posted, err := posix.InitSemaphore(m, 64, 0)
	must(t, err)
	const mseal = 462
	if _, _, e := unix.Syscall(mseal, uintptr(unsafe.Pointer(&m.Bytes()[0])), uintptr(page), 0); e != 0 {
		t.Skip("mseal:", e)
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	defer others.Wait()
	defer close(stop)
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := m.Unmap(); !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EBUSY) { // EBUSY: an Acquire of never waits
					t.Errorf("Unmap of sealed memory: %v", err)
				}
			}
		}
	})
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	count := 0
	for i := range 400_000 {
		if i%8 == 0 {
			if never.Acquire(&late{Context: canceled}, 1) == nil {
				t.Fatal("Acquire of a semaphore that was never above 0 returned nil")
			}
			if ok, _ := never.TryAcquire(1); ok {
				t.Fatal("TryAcquire of a semaphore that was never above 0 returned true")
			}
		}
		if posted.Release(1) == nil {
			count++
		}
	}
	if v := valueOf(t, posted); v != count {
		t.Errorf("Release returned nil %d times, and the value is %d", count, v)
	}
}

// A late context is done when it is checked for the second time: the call has begun by
// then.
type late struct {
	context.Context
	asked int
}

func (l *late) Err() error {
	if l.asked++; l.asked == 1 {
		return nil
	}
	return l.Context.Err()
}

func valueOf(t testing.TB, s *posix.Semaphore) int {
	t.Helper()
	v, err := s.Value()
	must(t, err)
	return v
}

// A Release during a Close either adds one or returns an error.
func TestCloseLosesNothing(t *testing.T) {
	seen := createSemaphore(t, "/s", 0)
	for range 400 {
		before := valueOf(t, seen)
		s, err := posix.OpenSemaphore("/s")
		must(t, err)
		started, done := make(chan struct{}), make(chan int)
		for range 2 {
			go func() {
				started <- struct{}{}
				count := 0
				for s.Release(1) == nil {
					count++
				}
				done <- count
			}()
		}
		<-started
		<-started
		must(t, s.Close())
		count := <-done + <-done
		if v := valueOf(t, seen); v-before != count {
			t.Fatalf("V returned nil %d times, and the value rose by %d", count, v-before)
		}
	}
}

// addresses returns how many bytes of addresses this process has mapped.
func addresses(t testing.TB) (bytes int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	must(t, err)
	_, err = fmt.Sscan(string(text), &bytes)
	must(t, err)
	return bytes * page
}

// Unmapped memory is freed, even if a small variable shares an allocation with something
// that belongs to the mapping. Only the page of its semaphore stays for a while.
func TestUnmapGivesBack(t *testing.T) {
	const count, size = 500, 1 << 20
	o, err := posix.CreateMemfd("m", size, nil)
	must(t, err)
	defer o.Close()
	var neighbours []*int32
	before := addresses(t)
	for range count {
		m, err := o.Map(nil)
		must(t, err)
		_, err = posix.InitSemaphore(m, 0, 0)
		must(t, err)
		_, err = posix.InitSemaphore(m, 5*page-8, 0) // in two pages
		must(t, err)
		neighbours = append(neighbours, new(int32))
		must(t, m.Unmap())
	}
	if more := addresses(t) - before; more > count*size/4 {
		t.Errorf("%d MiB more of %d are mapped at once", more>>20, count*size>>20)
	}
	zeros := func() (n int) {
		for begin := time.Now(); ; {
			runtime.GC()
			if n = addresses(t) - before; n < count*page || time.Since(begin) > patience/10 {
				return n
			}
		}
	}()
	if zeros >= count*page {
		t.Errorf("%d pages more are mapped after collections", zeros/page)
	}
	runtime.KeepAlive(neighbours)
}

// TestPartOfHugePage maps, protects and unmaps a part of a huge page.
func TestPartOfHugePage(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it does not know the sizes of huge pages")
	const huge = 2 << 20
	o, err := posix.CreateMemfd("huge", 2*huge, &posix.MemfdOptions{HugePages: huge})
	if err != nil {
		t.Skip("no huge pages:", err)
	}
	defer o.Close()
	_, err = o.Map(&posix.MapOptions{Offset: int64(page), NoReserve: true})
	wantErr(t, err, unix.EINVAL)
	m, err := o.Map(&posix.MapOptions{Length: huge + page, NoReserve: true})
	must(t, err)
	must(t, m.Protect(0, page, posix.ProtRead))
	if m.ReadOnly() {
		t.Error("read-only, though one of two pages can be written")
	}
	must(t, m.Protect(0, huge+1, posix.ProtRead))
	if !m.ReadOnly() {
		t.Error("not read-only, though no page can be written")
	}
	at := m.Addr()
	must(t, m.Unmap())
	var present [1]byte
	for _, off := range []uintptr{0, huge, 2*huge - uintptr(page)} {
		if _, _, e := unix.Syscall(unix.SYS_MINCORE, at+off, uintptr(page), uintptr(unsafe.Pointer(&present))); e != unix.ENOMEM {
			t.Errorf("mincore at offset %d after Unmap: %v, want ENOMEM", off, e)
		}
	}
}
