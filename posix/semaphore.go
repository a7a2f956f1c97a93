package posix

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/futex"
	"github.com/sysvipc/gipc/internal/memory"
)

// MaxSemaphore is SEM_VALUE_MAX, the highest value of a semaphore.
const MaxSemaphore = 1<<31 - 1

// A Semaphore is an open POSIX semaphore: a named one, or one in a mapping. It is the
// sem_t of the GNU C library, and can be shared with C programs. Several goroutines may
// call its methods at once.
//
// When a process ends, the kernel does not give back the units that the process acquired.
// (System V semaphores have SEM_UNDO for that.)
//
// For speed, Acquire, TryAcquire and Release are not protected as the methods of Mapping
// are. If the file of the semaphore is truncated, or Protect forbids the access, they end
// the program. Only processes that may write to the semaphore can cause this.
type Semaphore struct {
	word
	name    string
	hold    *hold
	mapping *Mapping
	named   bool
}

// SemaphoreOptions holds the options of a new named semaphore. nil means the zero value.
type SemaphoreOptions struct {
	// Mode holds the permission bits. A user of the semaphore needs both read and write. 0
	// means 0600, NoAccess means none. The umask of the process applies.
	Mode fs.FileMode
	// AnyOwner lets OpenOrCreateSemaphore return a semaphore that belongs to another user.
	AnyOwner bool
}

// CreateSemaphore creates a named semaphore with a value of 0 to MaxSemaphore and opens it
// (sem_open(3) with O_CREAT and O_EXCL). The semaphore appears under its name with its
// value.
//
// A name has at most 251 bytes, an optional leading slash and no other slash. Errors:
// fs.ErrExist (the name is taken), fs.ErrPermission, EINVAL (an invalid name or value;
// Mode has more than permission bits), ENAMETOOLONG, ENOSPC, EMFILE, EOPNOTSUPP (/dev/shm
// is a file system without O_TMPFILE).
func CreateSemaphore(name string, value int, o *SemaphoreOptions) (*Semaphore, error) {
	if o == nil {
		o = new(SemaphoreOptions)
	}
	file, err := createSemaphore(name, value, o)
	return openedSemaphore(name, file, err)
}

func createSemaphore(name string, value int, o *SemaphoreOptions) (*os.File, error) {
	base, err := fileName(semPrefix, name)
	if err != nil {
		return nil, err
	}
	if value < 0 || value > MaxSemaphore {
		return nil, refused("value %d", value)
	}
	return createFile(base, o.Mode, func(f *os.File) error {
		_, err := f.Write(newSemaphore(value))
		return err
	})
}

// OpenOrCreateSemaphore opens the semaphore called name, or creates one as CreateSemaphore
// does; made reports whether it did. An existing semaphore must belong to the caller or
// root, unless o has AnyOwner. Its value is whatever it has become.
//
// Errors: ErrMismatch (another owner); those of CreateSemaphore except fs.ErrExist, and of
// OpenSemaphore except fs.ErrNotExist.
func OpenOrCreateSemaphore(name string, value int, o *SemaphoreOptions) (s *Semaphore, made bool, err error) {
	if o == nil {
		o = new(SemaphoreOptions)
	}
	return openOrCreate(
		func() (*Semaphore, error) { return CreateSemaphore(name, value, o) },
		func() (*Semaphore, error) {
			file, err := openSemaphore(name)
			if err == nil {
				var info fs.FileInfo
				if info, err = file.Stat(); err == nil {
					err = fileInfo(name, info).fits(o.AnyOwner)
				}
				if err != nil {
					file.Close()
				}
			}
			return openedSemaphore(name, file, err)
		})
}

// OpenSemaphore opens the semaphore called name (sem_open(3)). Errors: fs.ErrNotExist,
// fs.ErrPermission, ErrNotSemaphore, EINVAL (an invalid name), ENAMETOOLONG, ELOOP (a
// symbolic link).
func OpenSemaphore(name string) (*Semaphore, error) {
	file, err := openSemaphore(name)
	return openedSemaphore(name, file, err)
}

func openSemaphore(name string) (*os.File, error) {
	base, err := fileName(semPrefix, name)
	if err != nil {
		return nil, err
	}
	return openFile(shmDir+"/"+base, ReadWrite)
}

// openedSemaphore maps the file of a semaphore and closes it.
func openedSemaphore(name string, file *os.File, err error) (*Semaphore, error) {
	if err != nil {
		return nil, failed("sem_open", name, err)
	}
	defer file.Close()
	layout, err := fileLayout(file)
	if err != nil {
		return nil, failed("sem_open", name, err)
	}
	m, err := mapFile(file, name, nil)
	if err != nil {
		return nil, err
	}
	s, err := m.semaphore(0, layout)
	if err != nil {
		return nil, errors.Join(failed("sem_open", name, err), m.Unmap())
	}
	s.name, s.named = name, true
	return s, nil
}

// UnlinkSemaphore removes the name (sem_unlink(3)). Processes that have the semaphore open
// can go on using it. Errors: fs.ErrNotExist, fs.ErrPermission.
func UnlinkSemaphore(name string) error {
	base, err := fileName(semPrefix, name)
	if err == nil {
		err = unlinkFile(shmDir + "/" + base)
	}
	return failed("sem_unlink", name, err)
}

// InitSemaphore initialises a semaphore in a mapping, shared with all processes that map
// the same memory (sem_init(3) with pshared 1). It takes SemaphoreSize bytes at off, which
// must be a multiple of 8, or of 4 on 32-bit architectures. No process may be using a
// semaphore there. Errors: EINVAL (the value), ErrBounds, ErrAlignment, ErrReadOnly,
// ErrFault, ErrUnmapped.
func InitSemaphore(m *Mapping, off, value int) (*Semaphore, error) {
	if value < 0 || value > MaxSemaphore {
		return nil, failed("sem_init", m.at(off), refused("value %d", value))
	}
	s, err := m.semaphore(off, nativeLayout)
	if err == nil {
		_, err = m.WriteAt(newSemaphore(value), int64(off))
	}
	if err != nil {
		return nil, failed("sem_init", m.at(off), err)
	}
	return s, nil
}

// SemaphoreAt returns the semaphore at offset off of a mapping, which another process or
// InitSemaphore has initialised. Errors: ErrNotSemaphore (also for a semaphore initialised
// with pshared 0), ErrBounds, ErrAlignment, ErrReadOnly, ErrFault, ErrUnmapped.
func SemaphoreAt(m *Mapping, off int) (*Semaphore, error) {
	var head [layoutBytes]byte
	_, err := m.ReadAt(head[:], int64(off))
	if errors.Is(err, io.EOF) {
		err = beyond(layoutBytes, int64(off), int64(m.Len()))
	}
	var layout layout
	if err == nil {
		layout, err = layoutOf(head[:])
	}
	var s *Semaphore
	if err == nil {
		s, err = m.semaphore(off, layout)
	}
	if err != nil {
		return nil, failed("sem_t", m.at(off), err)
	}
	return s, nil
}

// at returns the name of a semaphore in the mapping.
func (m *Mapping) at(off int) string { return fmt.Sprintf("%s at offset %d", m.name, off) }

func (m *Mapping) semaphore(off int, layout layout) (*Semaphore, error) {
	if m.ReadOnly() {
		return nil, ErrReadOnly
	}
	// Take the pointer inside Do, because Unmap may run at the same time.
	err := m.region.Do(func(mem []byte) error {
		if off < 0 || off > len(mem)-layoutBytes {
			return beyond(layoutBytes, int64(off), int64(len(mem)))
		}
		m.hold.keep(off, m.page)
		m.hold.keep(off+layoutBytes-1, m.page)
		return nil
	})
	if err != nil {
		return nil, err
	}
	w, err := layout.word(m.region, off)
	if err != nil {
		return nil, err
	}
	return &Semaphore{word: w, name: m.at(off), hold: m.hold, mapping: m}, nil
}

// Name returns the name of the semaphore, or its mapping and offset.
func (s *Semaphore) Name() string { return s.name }

// Close closes a named semaphore (sem_close(3)); the semaphore itself stays. Later calls
// of methods return ErrUnmapped. While a goroutine is blocked in Acquire, Close fails with
// EBUSY. For a semaphore in a mapping, Close does nothing: Unmap closes it.
func (s *Semaphore) Close() error {
	if !s.named {
		return nil
	}
	return s.mapping.Unmap()
}

// Acquire subtracts one from the semaphore (sem_wait(3)). n must be 1, because other
// programs take one at a time. If the value is 0, Acquire blocks, occupying a thread,
// until another process adds to it or ctx is done; then the error unwraps to ctx.Err() and
// nothing was taken. If it does not block, it makes no system call.
func (s *Semaphore) Acquire(ctx context.Context, n int) error {
	if err := ctx.Err(); err != nil {
		return failed("sem_wait", s.name, err)
	}
	if n == 1 && !s.hold.ended() && s.take() {
		runtime.KeepAlive(s)
		return nil
	}
	if n != 1 {
		return s.several("sem_wait", n)
	}
	return s.block(ctx)
}

func (s *Semaphore) several(op string, n int) error {
	return failed(op, s.name, refused("%d at once; one at a time can be taken", n))
}

// block is Acquire after the semaphore was found to be 0.
func (s *Semaphore) block(ctx context.Context) error {
	const op = "sem_wait"
	if !s.hold.enter() {
		return s.gone(op)
	}
	defer s.hold.leave()
	nap := firstNap
	sleep := func(word *uint32, value uint32) error {
		err := futex.Wait(ctx, word, value, nap)
		nap = min(2*nap, longestNap)
		if errors.Is(err, futex.ErrTimeout) {
			return nil
		}
		return err
	}
	return failed(op, s.name, memory.Guard(func() error {
		if s.spin() {
			return nil
		}
		return s.sleep(sleep)
	}))
}

// If a process is killed after adding one and before waking a waiter, that waiter stays
// asleep although it could have the semaphore. So no waiter sleeps longer than this before
// it checks again. Naps double in length, because each costs processor time.
const (
	firstNap   = 20 * time.Millisecond
	longestNap = 10 * time.Second
)

// TryAcquire is Acquire without blocking (sem_trywait(3)). It reports whether it
// subtracted one. n must be 1.
func (s *Semaphore) TryAcquire(n int) (bool, error) {
	switch {
	case n != 1:
		return false, s.several("sem_trywait", n)
	case s.hold.ended():
		return false, s.gone("sem_trywait")
	}
	ok := s.take()
	runtime.KeepAlive(s)
	return ok, nil
}

// Release adds n to the semaphore, one at a time, and wakes as many waiters (sem_post(3)).
// It does not block. If the value would exceed MaxSemaphore, the error is EOVERFLOW; then
// fewer than n may have been added, and the error says how many.
func (s *Semaphore) Release(n int) error {
	if n != 1 {
		return s.releaseEach(n)
	}
	if s.hold.ended() {
		return s.gone("sem_post")
	}
	given := s.give()
	switch {
	case given == full:
		return failed("sem_post", s.name, abi.EOVERFLOW)
	case given == waited || s.hold.ended():
		return s.settle(given)
	}
	runtime.KeepAlive(s)
	return nil
}

func (s *Semaphore) releaseEach(n int) error {
	if n < 1 {
		return failed("sem_post", s.name, refused("adding %d", n))
	}
	for i := range n {
		if err := s.Release(1); err != nil {
			return fmt.Errorf("%w (%d of %d were added)", err, i, n)
		}
	}
	return nil
}

// settle completes a Release that must wake a waiter, or that ran during an Unmap. It
// waits for the Unmap to end.
func (s *Semaphore) settle(g given) error {
	err := s.mapping.region.Do(func([]byte) error {
		if g == added {
			return nil // Unmap has failed
		}
		if !s.giveAndWake() {
			return abi.EOVERFLOW
		}
		return nil
	})
	// Unmap puts zeros in the semaphore's place. A unit added to the zeros was not added
	// to the semaphore, so each such Release takes one back from the zeros.
	if errors.Is(err, ErrUnmapped) && g == added && !s.take() {
		err = nil
	}
	runtime.KeepAlive(s)
	return failed("sem_post", s.name, err)
}

// Value returns the current value (sem_getvalue(3)).
func (s *Semaphore) Value() (value int, err error) {
	err = s.look(func() { value = s.value() })
	return value, err
}

// Waiters returns the number of waiting threads that the semaphore records. A thread
// killed while waiting is counted forever.
func (s *Semaphore) Waiters() (waiters int, err error) {
	err = s.look(func() { waiters = s.waiters() })
	return waiters, err
}

// look calls f while the semaphore is mapped.
func (s *Semaphore) look(f func()) error {
	return failed("sem_getvalue", s.name, s.mapping.region.Do(func([]byte) error {
		return memory.Guard(func() error { f(); return nil })
	}))
}

func (s *Semaphore) gone(op string) error { return failed(op, s.name, ErrUnmapped) }

// spin takes one from the semaphore if it becomes available within about a microsecond,
// which is less than it costs to fall asleep and wake up. With one processor, no other
// process could be about to add to it.
func (s *Semaphore) spin() bool {
	const turns = 1000
	if runtime.NumCPU() == 1 {
		return false
	}
	for range turns {
		if s.value() > 0 && s.take() {
			return true
		}
	}
	return false
}

// SemaphoreInfo is what the file system and the semaphore itself report.
type SemaphoreInfo struct {
	FileInfo
	// Known reports whether the file could be read and holds a semaphore of the GNU C
	// library. If it is false, the other fields except FileInfo mean nothing.
	Known   bool
	Value   int
	Waiters int // see Semaphore.Waiters
	Bits    int // 32 or 64: the kind of program that made it
}

// Semaphores returns all named semaphores, the files sem.* in /dev/shm, ordered by name. A
// semaphore created or unlinked meanwhile may be included or not. An error ends the
// sequence.
func Semaphores() iter.Seq2[SemaphoreInfo, error] {
	return func(yield func(SemaphoreInfo, error) bool) {
		for info, err := range files(shmDir) {
			if err != nil {
				yield(SemaphoreInfo{}, failed("readdir", shmDir, err))
				return
			}
			base, ok := strings.CutPrefix(info.Name, "/"+semPrefix)
			if !ok || base == "" {
				continue
			}
			info.Name = "/" + base
			if !yield(semaphoreInfo(info), nil) {
				return
			}
		}
	}
}

// semaphoreInfo reads the file of a semaphore.
func semaphoreInfo(info FileInfo) SemaphoreInfo {
	s := SemaphoreInfo{FileInfo: info}
	file, err := openFile(shmDir+"/"+semPrefix+info.Name[1:], ReadOnly)
	if err != nil {
		return s
	}
	defer file.Close()
	layout, err := fileLayout(file)
	if err != nil {
		return s
	}
	var head [layoutBytes]byte
	if _, err := file.ReadAt(head[:], 0); err != nil {
		return s
	}
	s.Known, s.Bits = true, int(layout)
	s.Value, s.Waiters = layout.read(head[:])
	return s
}

// fileLayout returns the layout of the semaphore in a file.
func fileLayout(file *os.File) (layout, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if size := info.Size(); size != wide.size() && size != narrow.size() {
		return 0, fmt.Errorf("%w: a file of %d bytes, not %d or %d", ErrNotSemaphore, size, narrow.size(), wide.size())
	}
	var head [layoutBytes]byte
	if _, err := file.ReadAt(head[:], 0); err != nil {
		return 0, err
	}
	l, err := layoutOf(head[:])
	if err == nil && l.size() != info.Size() {
		err = fmt.Errorf("%w: a file of %d bytes, not %d", ErrNotSemaphore, info.Size(), l.size())
	}
	return l, err
}

// layoutBytes is the number of bytes of a sem_t that have a meaning.
const layoutBytes = 16

// newSemaphore returns a sem_t of this architecture.
func newSemaphore(value int) []byte {
	sem := make([]byte, nativeLayout.size())
	if nativeLayout == wide {
		binary.NativeEndian.PutUint64(sem, uint64(value))
	} else {
		binary.NativeEndian.PutUint32(sem, uint32(value)<<valueShift)
	}
	binary.NativeEndian.PutUint32(sem[nativeLayout.marker():], shared)
	return sem
}
