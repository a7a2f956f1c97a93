package semops_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

// helpers returns the function of the helper process with that name.
func helpers(name string) func(sysv.Set, *page) {
	switch name {
	case "hold":
		return hold
	case "mortal":
		return mortal
	case "locker":
		return locker
	case "counter":
		return counter
	case "undo":
		return undo
	case "event":
		return event
	case "rhold", "whold":
		return func(set sysv.Set, _ *page) { rwHold(set, name == "whold") }
	case "rwriter":
		return rwWriter
	case "rreader":
		return rwReader
	case "barrier":
		return barrier
	case "condwait":
		return condWaiter
	case "condconsumer":
		return condConsumer
	case "producer":
		return producer
	case "consumer":
		return consumer
	case "mortalproducer":
		return mortalProducer
	case "mortalconsumer":
		return mortalConsumer
	case "pv":
		return benchPV
	case "ping":
		return benchPing
	case "pong":
		return benchPong
	case "fill":
		return benchFill
	case "empty":
		return benchEmpty
	default:
		check(errors.New("no helper " + name))
		return nil
	}
}

// forEver is for helpers: the test kills them.
var forEver = context.Background()

// hold locks the mutex, prints what Lock returned, and waits to be killed.
func hold(set sysv.Set, _ *page) {
	mu, err := semops.NewMutex(set, 0, 1)
	check(err)
	fmt.Println(lock(mu, forEver))
	select {}
}

// locker repeatedly locks, repairs and unlocks, and checks that it is alone.
func locker(set sysv.Set, p *page) {
	mu, err := semops.NewMutex(set, 0, 1)
	check(err)
	me := int64(os.Getpid())
	for !p.stop.Load() {
		switch err := lock(mu, forEver); {
		case errors.Is(err, errOwnerDied):
			p.owner.Store(me)
			p.told.Add(1)
			p.b.Store(p.a.Load())
			check(mu.MarkConsistent())
		case err != nil:
			check(err)
		case !p.owner.CompareAndSwap(0, me):
			p.failed()
		}
		p.inside(me)
		if !p.owner.CompareAndSwap(me, 0) {
			p.failed()
		}
		check(mu.Unlock())
	}
}

// inside changes two words, which are equal while nobody holds the lock.
func (p *page) inside(me int64) {
	if p.a.Load() != p.b.Load() {
		p.failed()
	}
	a := p.a.Load() + 1
	p.a.Store(a)
	if p.owner.Load() != me {
		p.failed()
	}
	dally()
	p.b.Store(a)
	p.rounds.Add(1)
}

// dally takes some microseconds, so that a process killed at random is often here, and
// others have to wait.
func dally() {
	for range 100 {
		runtime.Gosched()
	}
}

const (
	counterGoroutines = 4
	counterRounds     = 2000
)

// counter counts under the lock, in several goroutines.
func counter(set sysv.Set, p *page) {
	mu, err := semops.NewMutex(set, 0, 1)
	check(err)
	var wg sync.WaitGroup
	for range counterGoroutines {
		wg.Go(func() {
			for range counterRounds {
				check(lock(mu, forEver))
				p.plain++
				check(mu.Unlock())
			}
		})
	}
	wg.Wait()
}

// undo subtracts 2 from semaphore 0 with undo, and from semaphore 1 without undo.
func undo(set sysv.Set, _ *page) {
	for num, o := range []semops.SemaphoreOptions{{Undo: true}, {}} {
		s, err := semops.NewSemaphore(set, num, &o)
		check(err)
		check(s.Acquire(forEver, 3))
		check(s.Release(1))
	}
	fmt.Println("done")
	select {}
}

func event(set sysv.Set, _ *page) {
	e, err := semops.NewEvent(set, 0)
	check(err)
	check(e.Wait(forEver))
}

// rwHold locks for writing or reading, reports that, and waits to be killed.
func rwHold(set sysv.Set, write bool) {
	rw, err := semops.NewRWMutex(set, 0)
	check(err)
	if write {
		fmt.Println(lock(rw, forEver))
	} else {
		fmt.Println(rw.RLock(forEver))
	}
	select {}
}

// rwWriter is locker for an RWMutex.
func rwWriter(set sysv.Set, p *page) {
	rw, err := semops.NewRWMutex(set, 0)
	check(err)
	me := int64(os.Getpid())
	for !p.stop.Load() {
		switch err := lock(rw, forEver); {
		case errors.Is(err, errOwnerDied):
			p.owner.Store(me)
			p.told.Add(1)
			p.b.Store(p.a.Load())
			check(rw.MarkConsistent())
		case err != nil:
			check(err)
		case !p.owner.CompareAndSwap(0, me):
			p.failed()
		}
		p.inside(me)
		if !p.owner.CompareAndSwap(me, 0) {
			p.failed()
		}
		check(rw.Unlock())
	}
}

// rwReader checks in several goroutines that no writer is inside.
func rwReader(set sysv.Set, p *page) {
	rw, err := semops.NewRWMutex(set, 0)
	check(err)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !p.stop.Load() {
				err := rw.RLock(forEver)
				if errors.Is(err, semops.ErrInconsistent) {
					continue // a writer will repair it
				}
				check(err)
				before := p.a.Load()
				if p.owner.Load() != 0 || p.b.Load() != before {
					p.failed()
				}
				p.readers.Add(1)
				dally()
				if p.a.Load() != before {
					p.failed()
				}
				check(rw.RUnlock())
			}
		})
	}
	wg.Wait()
}

const (
	barrierParties = 3
	barrierRounds  = 10000
)

// barrier is one party of three, for a number of rounds, or forever if p.id is set.
func barrier(set sysv.Set, p *page) {
	b, err := semops.NewBarrier(set, 0, barrierParties)
	check(err)
	for round := int64(0); round < barrierRounds || p.id.Load() != 0; round++ {
		p.a.Add(1)
		last, err := b.Wait(forEver)
		check(err)
		if last {
			p.told.Add(1)
		}
		n := p.a.Load()
		if p.id.Load() == 0 && (n < (round+1)*barrierParties || n > (round+2)*barrierParties) {
			p.failed()
		}
	}
}

// lockMutex locks and repairs if there is anything to repair.
func lockMutex(mu *semops.Mutex) { repaired(mu, lock(mu, forEver)) }

func repaired(mu *semops.Mutex, err error) {
	if errors.Is(err, errOwnerDied) {
		err = mu.MarkConsistent()
	}
	check(err)
}

func condWaiter(set sysv.Set, _ *page) {
	mu, err := semops.NewMutex(set, 0, 1)
	check(err)
	c, err := semops.NewCond(mu, condGroup)
	check(err)
	lockMutex(mu)
	check(waitFor(c, forEver))
	select {}
}

// condConsumer takes items in several goroutines.
func condConsumer(set sysv.Set, p *page) {
	mu, err := semops.NewMutex(set, 0, 1)
	check(err)
	c, err := semops.NewCond(mu, condGroup)
	check(err)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				lockMutex(mu)
				for p.plain == 0 && !p.stop.Load() {
					repaired(mu, waitFor(c, forEver))
				}
				if p.plain == 0 {
					check(mu.Unlock())
					return
				}
				p.plain--
				p.rounds.Add(1)
				check(mu.Unlock())
			}
		})
	}
	wg.Wait()
}

const (
	bufferGoroutines = 2
	bufferMessages   = 5000 // of each producer
)

func producer(set sysv.Set, p *page) {
	b, err := semops.NewBuffer(set, 0, bufferSlots)
	check(err)
	var wg sync.WaitGroup
	for range bufferGoroutines {
		wg.Go(func() {
			for range bufferMessages {
				check(b.Put(forEver, func(slot int) error {
					id := p.id.Load()
					p.id.Store(id + 1)
					p.slot[slot][0].Store(id)
					p.slot[slot][1].Store(id)
					return nil
				}))
			}
		})
	}
	wg.Wait()
}

func consumer(set sysv.Set, p *page) {
	b, err := semops.NewBuffer(set, 0, bufferSlots)
	check(err)
	for range bufferGoroutines {
		go func() {
			for {
				check(b.Take(forEver, func(slot int) error {
					id := p.slot[slot][0].Load()
					if p.slot[slot][1].Load() != id {
						p.failed()
					}
					p.data[id].Add(1)
					return nil
				}))
				p.rounds.Add(1)
			}
		}()
	}
	select {}
}

// mortalProducer numbers messages without a gap. Each is the successor of the one in the
// previous slot, which is the last one whose Put succeeded, in any process.
func mortalProducer(set sysv.Set, p *page) {
	b, err := semops.NewBuffer(set, 0, bufferSlots)
	check(err)
	for {
		check(b.Put(forEver, func(slot int) error {
			p.slot[slot][0].Store(-1)
			id := p.slot[(slot+bufferSlots-1)%bufferSlots][0].Load() + 1
			p.slot[slot][1].Store(id)
			dally()
			p.slot[slot][0].Store(id)
			return nil
		}))
	}
}

// mortalConsumer checks that messages arrive without a gap.
func mortalConsumer(set sysv.Set, p *page) {
	b, err := semops.NewBuffer(set, 0, bufferSlots)
	check(err)
	for {
		check(b.Take(forEver, func(slot int) error {
			id := p.slot[slot][0].Load()
			switch last := p.a.Load(); {
			case p.slot[slot][1].Load() != id:
				p.failed()
			case id == last:
				p.told.Add(1)
			case id != last+1:
				p.failed()
			}
			p.a.Store(id)
			dally()
			return nil
		}))
		p.rounds.Add(1)
	}
}
