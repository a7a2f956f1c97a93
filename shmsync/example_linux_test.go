package shmsync_test

import (
	"context"
	"fmt"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmsync"
)

// A counter in shared memory, which several programs may increment at the same time.
func Example() {
	obj, _, err := posix.OpenOrCreateObject("/counter", 4096, nil)
	if err != nil {
		panic(err)
	}
	defer posix.UnlinkObject("/counter")
	mem, err := obj.Map(nil)
	if err != nil {
		panic(err)
	}
	counter, err := posix.View[int64](mem, shmsync.MutexSize)
	if err != nil {
		panic(err)
	}
	mu, err := shmsync.NewMutex(mem, 0)
	if err != nil {
		panic(err)
	}
	err = mu.With(context.Background(), func(bool) error {
		*counter++ // nothing that could be half changed
		fmt.Println(*counter)
		return nil
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(mu.Close(), mem.Unmap(), obj.Close())
	// Output:
	// 1
	// <nil> <nil> <nil>
}

func ExampleRWMutex() {
	obj, err := posix.CreateObject("/limits", 2*shmsync.RWMutexSize, nil)
	if err != nil {
		panic(err)
	}
	defer posix.UnlinkObject("/limits")
	mem, err := obj.Map(nil)
	if err != nil {
		panic(err)
	}
	limits, err := posix.View[[2]int64](mem, shmsync.RWMutexSize) // least and most
	if err != nil {
		panic(err)
	}
	rw, err := shmsync.NewRWMutex(mem, 0)
	if err != nil {
		panic(err)
	}
	err = rw.With(context.Background(), func(abandoned bool) error {
		limits[0], limits[1] = 10, 20
		return nil
	})
	if err != nil {
		panic(err)
	}
	err = rw.RWith(context.Background(), func() error { // in any number of processes at once
		fmt.Println(limits[0] <= limits[1])
		return nil
	})
	fmt.Println(err, rw.Close(), mem.Unmap(), obj.Close())
	// Output:
	// true
	// <nil> <nil> <nil> <nil>
}
