package semops

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sysvipc/gipc/internal/order"
	"github.com/sysvipc/gipc/sysv"
)

// A Barrier blocks processes or goroutines until a fixed number of them, its parties, have
// arrived. Then all of them go on, and the barrier can be used again at once.
//
// A party whose wait is cancelled, or whose process is killed while it waits, no longer
// counts. Another one can take its place.
//
// Cost: three semaphores. In each round, a party makes three system calls, plus those of
// its wait. A wait occupies one thread.
//
// States. The semaphore phase is twice the number of parties, plus the phase, 0 or 1,
// which changes at the end of each round. Each phase has a semaphore that counts the
// parties still missing. An arriving party subtracts 1 from it, with undo, while it is
// above 1. The party adds 1 again when it leaves, which it can once the phase has changed.
// The last party finds 1 there, and changes the phase in the same semop that checks it.
// Before that, it sleeps until all parties have left the previous phase.
type Barrier struct {
	set     sysv.Set
	missing [2]uint16
	phase   uint16
	parties int16
	wait    waiter
	drain   waiter // for parties that have not left the previous phase
	order   order.Edge
}

// maxParties is such that a semaphore can hold twice the number, plus 1.
const maxParties = maxValue / 2

// BarrierValues returns the initial values of a barrier's semaphores, for 1 to 16383
// parties.
func BarrierValues(parties int) []uint16 {
	n := uint16(parties)
	return []uint16{n, n, 2 * n}
}

// NewBarrier returns the barrier in three semaphores of set, starting with semaphore
// first. They must have been initialised once with BarrierValues. parties, 1 to 16383,
// must be the same as then; otherwise the error is sysv.ErrMismatch. NewBarrier needs read
// and write permission for the set.
func NewBarrier(set sysv.Set, first, parties int) (*Barrier, error) {
	if parties < 1 || parties > maxParties {
		return nil, fmt.Errorf("barrier for %d parties: want 1 to %d", parties, maxParties)
	}
	n, err := semaphores(set, "barrier", first, 3)
	if err != nil {
		return nil, err
	}
	b := &Barrier{set: set, missing: [2]uint16{n, n + 1}, phase: n + 2, parties: int16(parties)}
	if _, err := b.readPhase(); err != nil {
		return nil, err
	}
	return b, nil
}

// readPhase returns the phase, 0 or 1.
func (b *Barrier) readPhase() (int, error) {
	value, err := b.set.Value(int(b.phase))
	switch made := value / 2; {
	case err != nil:
		return 0, err
	case made == 0:
		return 0, uninitialized(b.set, "barrier")
	case made != int(b.parties):
		return 0, mismatch(b.set, "barrier", made, "parties", int(b.parties))
	}
	return value % 2, nil
}

// inPhase returns operations that succeed only in the given phase, and change nothing.
func (b *Barrier) inPhase(phase int) (op1, op2, op3 sysv.Op) {
	return isValue(b.phase, 2*int(b.parties)+phase)
}

// Wait blocks until all parties have arrived, or until ctx is done. last is true for the
// party that arrived last, which did not block.
func (b *Barrier) Wait(ctx context.Context) (last bool, err error) {
	if err := done(ctx, b.set); err != nil {
		return false, err
	}
	b.order.Release()
	defer b.order.Acquire()
	for {
		phase, err := b.readPhase()
		if err != nil {
			return false, err
		}
		if ok, err := b.come(phase); err != nil {
			return false, err
		} else if ok {
			return false, b.leave(ctx, phase)
		}
		if ok, err := b.turn(phase); ok || err != nil {
			return ok, err
		}
		// Another party arrived, left or was first meanwhile; or the caller is the last
		// one, and some party has not left the previous phase.
		if err := b.awaitLeft(ctx, 1-phase); err != nil {
			return false, err
		}
	}
}

// lookAgain is how long a caller sleeps before it looks whether the previous phase has been
// left. If there are more callers than parties, the phase may change during the sleep, and
// the new one may need this caller.
const lookAgain = 20 * time.Millisecond

// awaitLeft waits until all parties have left a phase, but no longer than lookAgain.
func (b *Barrier) awaitLeft(ctx context.Context, phase int) error {
	short, cancel := context.WithTimeout(ctx, lookAgain)
	defer cancel()
	left := b.missing[phase]
	err := b.drain.do(short, b.set, add(left, -b.parties), add(left, b.parties))
	if errors.Is(err, context.DeadlineExceeded) || err == nil {
		return done(ctx, b.set)
	}
	return err
}

// come counts the caller, unless it is the last party.
func (b *Barrier) come(phase int) (bool, error) {
	here := b.missing[phase]
	op1, op2, op3 := b.inPhase(phase)
	return b.set.TryDo(op1, op2, op3, addUndo(here, -1), add(here, -1), add(here, 1))
}

// turn changes the phase if the caller is the last party.
func (b *Barrier) turn(phase int) (bool, error) {
	here, before := b.missing[phase], b.missing[1-phase]
	op1, op2, op3 := b.inPhase(phase)
	return b.set.TryDo(op1, op2, op3,
		add(here, -1), isZero(here), add(here, 1),
		add(before, -b.parties), add(before, b.parties),
		flip(b.phase, phase))
}

// leave waits until the phase is over.
func (b *Barrier) leave(ctx context.Context, phase int) error {
	back := addUndo(b.missing[phase], 1)
	op1, op2, op3 := b.inPhase(1 - phase)
	err := b.wait.do(ctx, b.set, op1, op2, op3, back)
	if err == nil {
		return nil
	}
	// If the phase is over by now, the caller took part in the round.
	still1, still2, still3 := b.inPhase(phase)
	for {
		if ok, failed := b.set.TryDo(still1, still2, still3, back); ok || failed != nil {
			return err
		}
		if ok, failed := b.set.TryDo(op1, op2, op3, back); ok {
			return nil
		} else if failed != nil {
			return err
		}
		if _, failed := b.readPhase(); failed != nil { // another program has changed its value
			return err
		}
	}
}
