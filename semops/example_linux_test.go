package semops_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"sync"

	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

// exampleSet makes a set for an example. Programs that have to meet use
// sysv.OpenOrCreateSet with a key.
func exampleSet(values ...[]uint16) sysv.Set {
	all := slices.Concat(values...)
	set, err := sysv.CreateSet(sysv.Private, len(all), nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := set.SetValues(all); err != nil {
		log.Fatal(err)
	}
	return set
}

func ExampleMutex() {
	set := exampleSet(semops.MutexValues())
	defer set.Remove()
	mu, err := semops.NewMutex(set, 0, 1)
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	err = mu.With(ctx, func(abandoned bool) error {
		if abandoned {
			fmt.Println("repairing what a dead process left half done")
		}
		fmt.Println("locked")
		return nil
	})
	fmt.Println(err)

	abandoned, err := mu.Lock(ctx) // in two calls
	if err != nil {
		log.Fatal(err) // not held
	}
	fmt.Println(abandoned, mu.Unlock())
	fmt.Println(mu.Unlock())
	// Output:
	// locked
	// <nil>
	// false <nil>
	// the lock is not held
}

func ExampleRWMutex() {
	set := exampleSet(semops.RWMutexValues())
	defer set.Remove()
	rw, err := semops.NewRWMutex(set, 0)
	if err != nil {
		log.Fatal(err)
	}

	// read is what each reader does.
	read := func(ctx context.Context) error {
		for {
			err := rw.RWith(ctx, func() error {
				fmt.Println("reading")
				return nil
			})
			if !errors.Is(err, semops.ErrInconsistent) {
				return err
			}
			// A writer died. A process that can repair what it left becomes a writer.
			if err := rw.With(ctx, func(abandoned bool) error { return nil }); err != nil {
				return err
			}
		}
	}
	fmt.Println(read(context.Background()))
	// Output:
	// reading
	// <nil>
}

func ExampleCond() {
	set := exampleSet(semops.MutexValues(), semops.CondValues())
	defer set.Remove()
	mu, err := semops.NewMutex(set, 0, 1)
	if err != nil {
		log.Fatal(err)
	}
	cond, err := semops.NewCond(mu, 2)
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	mem := make([]int, 1) // in real life, memory that processes share
	wait := func() error {
		return mu.With(ctx, func(bool) error {
			for mem[0] == 0 {
				if _, err := cond.Wait(ctx); err != nil { // and we hold the lock again
					return err
				}
			}
			fmt.Println("got", mem[0])
			return nil
		})
	}
	done := make(chan error)
	go func() { done <- wait() }()

	err = mu.With(ctx, func(bool) error {
		mem[0] = 42
		return nil
	})
	fmt.Println(err, cond.Signal(), <-done)
	// Output:
	// got 42
	// <nil> <nil> <nil>
}

func ExampleBarrier() {
	const parties = 3
	set := exampleSet(semops.BarrierValues(parties))
	defer set.Remove()
	barrier, err := semops.NewBarrier(set, 0, parties)
	if err != nil {
		log.Fatal(err)
	}

	var wg sync.WaitGroup
	for range parties {
		wg.Go(func() {
			last, err := barrier.Wait(context.Background())
			if err != nil {
				log.Fatal(err)
			}
			if last {
				fmt.Println("all are here")
			}
		})
	}
	wg.Wait()
	// Output: all are here
}

func ExampleBuffer() {
	var memory [2]string // in real life, memory that processes share
	set := exampleSet(semops.BufferValues(len(memory)))
	defer set.Remove()
	buffer, err := semops.NewBuffer(set, 0, len(memory))
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	for _, message := range []string{"one", "two"} {
		err := buffer.Put(ctx, func(slot int) error {
			memory[slot] = message
			return nil
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	full, err := buffer.TryPut(func(int) error { return nil })
	fmt.Println(full, err)
	for range 2 {
		err := buffer.Take(ctx, func(slot int) error {
			fmt.Println(memory[slot])
			return nil
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// false <nil>
	// one
	// two
}

func ExampleSemaphore() {
	set := exampleSet([]uint16{3})
	defer set.Remove()
	licences, err := semops.NewSemaphore(set, 0, &semops.SemaphoreOptions{Undo: true})
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(licences.Acquire(context.Background(), 2))
	fmt.Println(licences.TryAcquire(2))
	fmt.Println(licences.Release(2))
	fmt.Println(licences.Value())
	// Output:
	// <nil>
	// false <nil>
	// <nil>
	// 3 <nil>
}

func ExampleEvent() {
	set := exampleSet(semops.EventValues())
	defer set.Remove()
	started, err := semops.NewEvent(set, 0)
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(started.IsSet())
	fmt.Println(started.Set(), started.Wait(context.Background()))
	fmt.Println(started.IsSet())
	// Output:
	// false <nil>
	// <nil> <nil>
	// true <nil>
}
