package semops

import (
	"context"
	"fmt"

	"github.com/sysvipc/gipc/sysv"
)

// A Barrier lets nobody go on until a number of parties, processes or goroutines,
// have come to it. Then all go on, and it can be used again at once.
//
// A party whose wait is cancelled, or whose process is killed while it waits, does
// not count any more; another may come in its place.
//
// Cost: three semaphores. In a round each party makes three system calls and those
// of its wait. A wait occupies one thread.
//
// States. The semaphore phase is twice the number of parties, plus 0 or 1: the phase,
// changed at the end of each round. Each phase has a semaphore of the parties that are missing: a party that comes
// subtracts 1 from it, to be undone, as long as it is above 1, and adds it again when
// it leaves, which it can when the phase is another one. The last party finds 1 there,
// and changes the phase in the semop that checks it; no earlier than everybody has
// left the phase before, for which it waits asleep.
type Barrier struct {
	set     sysv.Set
	missing [2]uint16
	phase   uint16
	parties int16
	wait    waiter
	drain   waiter // for those who have not left the phase before
	order
}

// maxParties lets a semaphore hold twice as much and 1.
const maxParties = maxValue / 2

// BarrierValues returns the initial values of the semaphores of a barrier for
// parties, 1 to 16383.
func BarrierValues(parties int) []uint16 {
	n := uint16(parties)
	return []uint16{n, n, 2 * n}
}

// NewBarrier returns the barrier for parties, 1 to 16383, that is kept in three
// semaphores of set, from first on, which must have got BarrierValues once, for the same
// number of parties: another one is sysv.ErrMismatch. It needs permission to read and to
// alter the set.
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

// inPhase returns operations that succeed only in a phase, and change nothing.
func (b *Barrier) inPhase(phase int) (op1, op2, op3 sysv.Op) {
	return isValue(b.phase, 2*int(b.parties)+phase)
}

// Wait waits until all parties have come, or until ctx is done. last is true for
// the one that came last, which did not wait.
func (b *Barrier) Wait(ctx context.Context) (last bool, err error) {
	if err := done(ctx, b.set); err != nil {
		return false, err
	}
	b.release()
	defer b.acquire()
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
		// Somebody came, left or was first in between; or the caller is the last one, and
		// somebody has yet to leave the phase before.
		left := b.missing[1-phase]
		if err := b.drain.do(ctx, b.set, add(left, -b.parties), add(left, b.parties)); err != nil {
			return false, err
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
	}
}

// come counts the caller, unless it is the last one.
func (b *Barrier) come(phase int) (bool, error) {
	here := b.missing[phase]
	op1, op2, op3 := b.inPhase(phase)
	return b.set.TryDo(op1, op2, op3, addUndo(here, -1), add(here, -1), add(here, 1))
}

// turn changes the phase if the caller is the last one.
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
	// If the phase is over by now, the round counts and so does the caller.
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
		if _, failed := b.readPhase(); failed != nil { // somebody has given it another value
			return err
		}
	}
}
