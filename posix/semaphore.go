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

// A Semaphore is an open POSIX semaphore: one with a name, or one within a mapping.
// It is the sem_t of the GNU C library and is shared with programs that use that.
// Its methods may be called by several goroutines at once.
//
// A process that ends, however it does, gives back nothing: what it acquired stays
// taken. (System V semaphores know SEM_UNDO for that.)
//
// As fast as they are, Acquire, TryAcquire and Release do not survive what a Mapping does: if
// somebody makes the file of the semaphore shorter, or Protect forbids the access,
// they end the program. Only who may write to the semaphore can do that.
type Semaphore struct {
	word
	name    string
	hold    *hold
	mapping *Mapping
	named   bool
}

// SemaphoreOptions says how a named semaphore is made. nil stands for the zero value.
type SemaphoreOptions struct {
	// Mode holds the permission bits; who uses the semaphore needs both read and write.
	// 0 stands for 0600, NoAccess for none. The umask of the process takes its bits away.
	Mode fs.FileMode
	// AnyOwner lets OpenOrCreateSemaphore take a semaphore that belongs to another user.
	AnyOwner bool
}

// CreateSemaphore makes a named semaphore with a value of 0 to MaxSemaphore and
// opens it (sem_open(3) with O_CREAT and O_EXCL). It appears under its name with its
// value.
//
// A name is up to 251 bytes with or without a slash in front, and without another.
// Errors: fs.ErrExist (the name is taken), fs.ErrPermission, EINVAL (the name, the value,
// more than permission bits in Mode), ENAMETOOLONG, ENOSPC, EMFILE, EOPNOTSUPP (/dev/shm
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

// OpenOrCreateSemaphore opens the semaphore called name, made as CreateSemaphore does if
// there was none; made reports which. One that exists must belong to the caller or root,
// unless o says AnyOwner; its value is what it has become meanwhile.
//
// Errors: ErrMismatch (another owner); those of CreateSemaphore but fs.ErrExist, and of
// OpenSemaphore but fs.ErrNotExist.
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

// OpenSemaphore opens the semaphore called name (sem_open(3)). Errors:
// fs.ErrNotExist, fs.ErrPermission, ErrNotSemaphore, EINVAL (the name),
// ENAMETOOLONG, ELOOP (a symbolic link).
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
	m, err := mapFile(file, name, MapOptions{})
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

// UnlinkSemaphore removes the name (sem_unlink(3)). Who has the semaphore open can
// go on using it. Errors: fs.ErrNotExist, fs.ErrPermission.
func UnlinkSemaphore(name string) error {
	base, err := fileName(semPrefix, name)
	if err == nil {
		err = unlinkFile(shmDir + "/" + base)
	}
	return failed("sem_unlink", name, err)
}

// InitSemaphore makes a semaphore within a mapping, shared with all who map the
// same memory (sem_init(3) with pshared 1). It takes SemaphoreSize bytes at off,
// which must be a multiple of 8, or of 4 on 32-bit architectures. Nobody may be
// using one that is there. Errors: EINVAL (the value), ErrBounds, ErrAlignment,
// ErrReadOnly, ErrFault, ErrUnmapped.
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

// SemaphoreAt returns the semaphore that another process, or InitSemaphore, has
// made at offset off of a mapping. A semaphore that sem_init(3) made with pshared 0
// is ErrNotSemaphore. Errors: also ErrBounds, ErrAlignment, ErrReadOnly, ErrFault,
// ErrUnmapped.
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

// at names a place in the mapping.
func (m *Mapping) at(off int) string { return fmt.Sprintf("%s at offset %d", m.name, off) }

func (m *Mapping) semaphore(off int, layout layout) (*Semaphore, error) {
	if m.ReadOnly() {
		return nil, ErrReadOnly
	}
	// Before there is a pointer: Unmap may be on its way.
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

// Name returns the name of the semaphore, or where it is.
func (s *Semaphore) Name() string { return s.name }

// Close lets go of a named semaphore (sem_close(3)); the semaphore itself stays.
// Methods that are called after it return ErrUnmapped. While a goroutine waits
// in Acquire it is EBUSY. A semaphore within a mapping goes with that: Close does nothing.
func (s *Semaphore) Close() error {
	if !s.named {
		return nil
	}
	return s.mapping.Unmap()
}

// Acquire takes one from the semaphore (sem_wait(3)); n must be 1, since the other
// programs that use it take one at a time. If it is 0 Acquire waits until somebody else
// adds to it or until ctx is done; then the error unwraps to ctx.Err() and nothing was
// taken. If it need not wait the kernel is not asked. While it waits it occupies a thread
// of the operating system.
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

// block is Acquire for a semaphore that was found to be 0.
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

// A process that is killed after it has added one and before it has woken a waiter
// leaves that asleep, next to a semaphore that it could have. So nobody sleeps for
// longer than this before looking again; naps double, since each costs processor time.
const (
	firstNap   = 20 * time.Millisecond
	longestNap = 10 * time.Second
)

// TryAcquire takes one from the semaphore if it is above 0, and reports whether it did
// (sem_trywait(3)). n must be 1.
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

// Release adds n to the semaphore, one after the other, and wakes as many of those who
// wait (sem_post(3)). It never waits itself. A semaphore at MaxSemaphore is EOVERFLOW:
// then fewer than n may have been added, as the error says.
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

// settle ends a Release that has to wake somebody, or that came upon an Unmap. It waits for
// that to end.
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
	// As many as were added to the zeros that Unmap puts there were not added to the
	// semaphore. Each such Release takes one of them back.
	if errors.Is(err, ErrUnmapped) && g == added && !s.take() {
		err = nil
	}
	runtime.KeepAlive(s)
	return failed("sem_post", s.name, err)
}

// Value returns the value of the semaphore at this moment (sem_getvalue(3)).
func (s *Semaphore) Value() (value int, err error) {
	err = s.look(func() { value = s.value() })
	return value, err
}

// Waiters returns how many threads wait for the semaphore, as far as it knows: one
// that is killed while it waits is never counted out.
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

// spin takes one from the semaphore if it comes within about a microsecond, which
// is less than falling asleep and waking up cost. With one processor nobody else
// could be about to add to it.
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

// SemaphoreInfo is what the file system and the semaphore itself tell.
type SemaphoreInfo struct {
	FileInfo
	// Known tells whether the file could be read and holds a semaphore of the GNU C
	// library. If it is not set the rest means nothing.
	Known   bool
	Value   int
	Waiters int // see Semaphore.Waiters
	Bits    int // 32 or 64: of what kind of program it is
}

// Semaphores returns all named semaphores, in the order of their names: all that is
// called sem.* in /dev/shm. What is made or unlinked meanwhile may be there or not.
// An error ends the sequence.
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

// fileLayout tells what kind of semaphore a file holds.
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

// layoutBytes is how much of a sem_t means something.
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
