package sysv

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"time"

	"github.com/sysvipc/gipc/internal/abi"
)

// ErrUninitialized is returned by OpenOrCreateSet if another program created the set and
// did not set its values.
var ErrUninitialized = errors.New("the set exists, but nobody has given it values")

// ErrMismatch is returned if an object exists but does not fit: its size, its owner or a
// parameter of it differs from what the caller asked for. The error gives both values.
var ErrMismatch = errors.New("it exists, and does not fit")

// While this package initialises a set, its mode has the bit unfinished, an execute bit
// that the kernel ignores. If the creator dies right after setting the values, the bit
// stays and does no harm.
const (
	unfinished  fs.FileMode = 0o001
	executeBits fs.FileMode = 0o111
)

const (
	// initPatience is how long a set may lack values before its creator is considered
	// dead.
	initPatience = time.Second
	// initDeadline is how long a creator may take. It is shorter than initPatience, so
	// that a delayed creator gives up before another process can take over.
	initDeadline = initPatience / 2
	// settleTime is how long to watch a set of another program that has values but has
	// seen no semop. Its creator may be about to set more values, or to announce the set
	// with a semop.
	settleTime = 100 * time.Millisecond
)

// errVanished means that a set that existed a moment ago has been removed or given up.
var errVanished = errors.New("vanished")

// CreateSetWith creates a set with the given values under key, or without a key if key is
// Private. Other processes that call OpenOrCreateSet do not get the set before it has its
// values. Errors: those of CreateSet, and those of OpenOrCreateSet for values and mode.
func CreateSetWith(key Key, values []uint16, o *SetOptions) (Set, error) {
	mode, ops, err := initial(key, values, o)
	if err != nil {
		return -1, err
	}
	for {
		s, err := createWith(key, len(values), ops, mode)
		if !errors.Is(err, errVanished) {
			return s, err
		}
	}
}

// OpenOrCreateSet returns the set under key. If there is none, it creates one with the
// given values; made reports whether it did. However many processes call it at once, the
// values are set exactly once, and no process gets the set earlier. An existing set must
// have exactly len(values) semaphores and belong to the caller or root, unless o has
// AnyOwner, and the caller must have read permission. Its values are whatever they have
// become.
//
// The convention is that a set is ready once its sem_otime is not zero, which C programs
// can follow too. A set from another program that got its values only by SETVAL or SETALL
// counts as ready after a tenth of a second. While another process sets the values,
// OpenOrCreateSet sleeps until they are set or ctx is done; then the error unwraps to
// ctx.Err().
//
// One semop sets all values. If a creator dies before that semop, the next caller waits a
// second, removes the unfinished set and starts again. A mark in the mode distinguishes
// such a set from one of another program.
//
// Errors: ErrMismatch (another number of semaphores, another owner), ErrUninitialized (a
// set of another program got no values within a second), fs.ErrPermission, EINVAL (a mode
// whose only execute bit is 0001), E2BIG (more than SEMOPM/2 values, 250, differ from
// zero), ERANGE (a value above 32767); those of CreateSet except fs.ErrExist.
func OpenOrCreateSet(ctx context.Context, key Key, values []uint16, o *SetOptions) (s Set, made bool, err error) {
	mode, ops, err := initial(key, values, o)
	if err != nil {
		return -1, false, err
	}
	anyOwner := o != nil && o.AnyOwner
	for {
		s, err := createWith(key, len(values), ops, mode)
		made := err == nil
		if errors.Is(err, fs.ErrExist) {
			s, err = openReady(ctx, key, len(values), anyOwner)
		}
		if !errors.Is(err, errVanished) {
			return s, made, err
		}
	}
}

// initial returns the mode and the operations with which to create a set.
func initial(key Key, values []uint16, o *SetOptions) (mode fs.FileMode, ops []Op, err error) {
	if o == nil {
		o = new(SetOptions)
	}
	mode, ok := permissions(o.Mode)
	if !ok || mode&executeBits == unfinished || len(values) == 0 {
		return 0, nil, setError(key, len(values), abi.EINVAL)
	}
	ops, e := initialOps(values)
	return mode, ops, setError(key, len(values), e)
}

// initialOps returns the operations that set the values of a new set. They fail unless
// each semaphore that gets a value is zero.
func initialOps(values []uint16) ([]Op, abi.Errno) {
	ops := make([]Op, 0, 2*len(values)+1)
	for i, v := range values {
		switch {
		case i > math.MaxUint16:
			return nil, abi.EINVAL
		case v > math.MaxInt16:
			return nil, abi.ERANGE
		case v != 0:
			ops = append(ops, Op{Num: uint16(i)}, Op{Num: uint16(i), Add: int16(v)})
		}
	}
	if len(ops) == 0 { // sem_otime must be set even so
		ops = append(ops, Op{})
	}
	return ops, 0
}

// createWith creates a set and sets its values.
func createWith(key Key, nsems int, ops []Op, mode fs.FileMode) (Set, error) {
	began := time.Now()
	s, err := CreateSet(key, nsems, &SetOptions{Mode: mode | unfinished})
	if err != nil {
		return -1, err
	}
	if time.Since(began) > initDeadline {
		_ = s.Remove() // if it fails, another process has removed it
		return -1, errVanished
	}
	// A creator may be delayed here for another half second, and continue between another
	// process's last check of the set and its removal. It then returns a removed set: its
	// users get EIDRM or EINVAL. No system call removes a set only if nothing was done to
	// it.
	ok, err := s.TryDo(ops...)
	switch {
	case err == nil && !ok: // another program has set values
		return -1, errVanished
	case err == nil:
		err = s.SetOwnership(Ownership{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Mode: mode})
	}
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, fs.ErrNotExist):
		return -1, errVanished
	default:
		return -1, errors.Join(err, s.Remove())
	}
}

// openReady returns the set under key as soon as it has its values. The kernel has no
// event to wait for, so openReady polls at growing intervals. It counts the time that it
// slept, not the time that passed: if creator and waiter were stopped together (a frozen
// container, a suspended machine), the creator still gets its full time.
func openReady(ctx context.Context, key Key, nsems int, anyOwner bool) (Set, error) {
	s, err := OpenSet(key)
	if err != nil {
		return -1, vanishedIfGone(err)
	}
	var waited time.Duration
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		info, err := s.Stat()
		if err != nil {
			return -1, vanishedIfGone(err)
		}
		ours := info.Mode&executeBits == unfinished
		switch {
		case info.NSems != nsems:
			return -1, mismatch(Sem, key, "it has %d semaphores, not the %d asked for", info.NSems, nsems)
		case info.fits(Sem, key, anyOwner) != nil:
			return -1, info.fits(Sem, key, anyOwner)
		case !info.OTime.IsZero() || !ours && waited >= settleTime && hasValues(s, nsems):
			return s, nil
		case waited < initPatience:
			if err := sleep(ctx, pause); err != nil {
				return -1, &Error{Op: "semget", Kind: Sem, ByKey: true, Key: key, Err: err}
			}
			waited += pause
		case !ours:
			return -1, &Error{Op: "semget", Kind: Sem, ByKey: true, Key: key, Err: ErrUninitialized}
		default:
			if err := s.Remove(); err != nil {
				return -1, vanishedIfGone(err)
			}
			return -1, errVanished
		}
	}
}

// sleep sleeps for d, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hasValues reports whether SETVAL or SETALL has set values of a set that has seen no
// semop. These calls record the process id.
func hasValues(s Set, nsems int) bool {
	for num := range nsems {
		value, err := s.Value(num)
		if err == nil && value != 0 {
			return true
		}
		if pid, err := s.PID(num); err == nil && pid != 0 {
			return true
		}
	}
	return false
}

func vanishedIfGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errVanished
	}
	return err
}
