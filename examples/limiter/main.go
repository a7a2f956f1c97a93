// Limiter runs a command. At most three such commands run at a time on the whole machine.
//
//	$ go build -o /tmp/limiter ./examples/limiter
//	$ for i in $(seq 20); do /tmp/limiter sh -c 'date +%T; sleep 1' & done; wait
//
// The kernel keeps the places, in a semaphore with SEM_UNDO. Waiting limiters get a place in
// the order in which they began to wait. A limiter with a place becomes the command, and the
// kernel takes the place back when that process ends, even by kill -9. The semaphore stays
// for later limiters; "gipcs rm sem:key:0x6c696d74" removes it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

const key sysv.Key = 0x6c696d74

const places = 3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	fmt.Fprintln(os.Stderr, "limiter:", err)
	os.Exit(1)
}

// run replaces this process with the command, or returns the reason why it cannot.
func run(ctx context.Context, command []string) error {
	if len(command) == 0 {
		return errors.New("usage: limiter COMMAND [ARG...]")
	}
	program, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	set, _, err := sysv.OpenOrCreateSet(ctx, key, []uint16{places}, nil)
	if err != nil {
		return err
	}
	limit, err := semops.NewSemaphore(set, 0, &semops.SemaphoreOptions{Undo: true})
	if err != nil {
		return err
	}
	if err := limit.Acquire(ctx, 1); err != nil { // blocks until there is a place
		return err
	}
	return syscall.Exec(program, command, os.Environ()) // SEM_UNDO survives execve(2)
}
