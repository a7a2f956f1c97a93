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

// ErrUninitialized is returned by OpenOrCreateSet for a set that somebody else
// made and gave no values.
var ErrUninitialized = errors.New("the set exists, but nobody has given it values")

// ErrMismatch is returned for an object that exists and was made for something else: it
// has another size, or its sides do not agree on a parameter. The error says both.
var ErrMismatch = errors.New("it exists, and does not fit")

// A set that this package is about to initialise carries unfinished in its mode,
// an execute bit, which means nothing to the kernel. It stays there for good, and
// does no harm, if the maker dies right after it gave the values.
const (
	unfinished  fs.FileMode = 0o001
	executeBits fs.FileMode = 0o111
)

const (
	// initPatience is how long a set may stay without values before its maker is
	// taken for dead.
	initPatience = time.Second
	// initDeadline is how long a maker may take. It is shorter, so that one that was
	// held up gives up before somebody else can have taken over.
	initDeadline = initPatience / 2
	// settleTime is how long somebody else's set that was given values, but on which
	// no semop was done, is watched: its maker may be about to give more, or to
	// announce it by a semop.
	settleTime = 100 * time.Millisecond
)

// errVanished says that a set which was there a moment ago is gone or given up.
var errVanished = errors.New("vanished")

// CreateSetWith makes a set with the given values under key, or without a key if that is
// Private. Whoever calls OpenOrCreateSet gets it when it has them. Errors: those of
// CreateSet, and those that OpenOrCreateSet has for values and mode.
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

// OpenOrCreateSet returns the set under key, made with the given values if there was
// none; made reports which. However many processes call it at once, the values are given
// exactly once, and nobody gets the set before.
//
// It keeps to the convention that a set is ready once its sem_otime is not zero,
// and so works together with C programs that do. A set of other origin that was
// given values by SETVAL or SETALL alone is taken for ready after a tenth of a
// second. While it waits for somebody else to give values it sleeps, or until ctx is
// done; then the error unwraps to ctx.Err().
//
// The values are given by one semop. If a maker dies before that, the next caller
// removes what it left, which a mark in the mode tells from sets of other origin,
// and starts afresh after a second.
//
// A set that exists must have exactly len(values) semaphores and belong to the caller or
// root, unless o says AnyOwner, and the caller must be allowed to read it. Its values are
// what they have become meanwhile.
//
// Errors: ErrMismatch (another number of semaphores, another owner), ErrUninitialized (a
// set of other origin to which nobody gives values within a second), fs.ErrPermission,
// EINVAL (a mode whose only execute bit is 0001), E2BIG (more than SEMOPM/2 values, 250,
// differ from zero), ERANGE (a value above 32767); those of CreateSet but fs.ErrExist.
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

// initial returns the mode and the operations with which a set is made.
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

// initialOps returns the operations that give a new set its values, provided that
// it is new: each semaphore that gets one must be zero.
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
	if len(ops) == 0 { // sem_otime has to be set all the same
		ops = append(ops, Op{})
	}
	return ops, 0
}

// createWith makes a set and gives it its values.
func createWith(key Key, nsems int, ops []Op, mode fs.FileMode) (Set, error) {
	began := time.Now()
	s, err := CreateSet(key, nsems, &SetOptions{Mode: mode | unfinished})
	if err != nil {
		return -1, err
	}
	if time.Since(began) > initDeadline {
		_ = s.Remove() // if it fails somebody else has done it
		return -1, errVanished
	}
	// Held up for another half a second just here, and going on in the very moment in
	// which somebody else, who has looked for the last time, removes the set, the
	// maker would return a set that is removed: its users get EIDRM or EINVAL. No
	// call of the kernel removes a set on condition that nothing was done to it.
	ok, err := s.TryDo(ops...)
	switch {
	case err == nil && !ok: // somebody else has been at it
		return -1, errVanished
	case err == nil:
		err = s.Set(Ownership{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Mode: mode})
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

// openReady returns the set under key as soon as it has its values. The kernel
// has no event to wait for, so it looks again at growing intervals. What counts is
// how long it slept, not how late it is: when maker and waiter were stopped
// together (a frozen container, a suspended machine), the maker gets its time
// after that.
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

// sleep sleeps, or until ctx is done.
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

// hasValues tells whether a set on which no semop was ever done was given values
// by SETVAL or SETALL, which leave the process id behind.
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
