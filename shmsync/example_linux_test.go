package shmsync_test

import (
	"context"
	"fmt"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmsync"
)

// A counter in shared memory, which several programs may count up at a time.
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
	counter, err := posix.View[int64](mem, shmsync.Size)
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
