// Jobs is a server that gives its work to programs in C and Python: they square the numbers
// 0 to 99.
//
//	$ go run ./examples/jobs                  # in one terminal
//	$ gcc -Iinclude examples/jobs/workers/worker.c -o /tmp/worker && /tmp/worker   # in a second
//	$ python3 examples/jobs/workers/worker.py         # in others, as many as you like
//
// The C worker gets its jobs through a ring. If it is killed, the next one receives its job
// again. The Python workers get theirs from a System V message queue, which any number of
// processes can share, but which forgets a job once it is taken: kill one in the middle of
// a job, and the server waits until Ctrl-C. All results come back through a second queue:
// if there were only one, jobs could leave no room in it for results.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// The workers know these too.
const (
	ringName            = "/gipc-example-jobs"
	jobsKey    sysv.Key = 0x6a6f6273
	resultsKey sysv.Key = 0x6a6f6274
)

const count = 100

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "jobs:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context) (err error) {
	results, err := sysv.CreateQueue(resultsKey, nil) // fails if another server runs
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, results.Remove()) }() // this ends the workers
	jobs, err := sysv.CreateQueue(jobsKey, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, jobs.Remove()) }()
	ring, err := shmring.OpenOrCreate(ctx, ringName, &shmring.NamedOptions{Outlive: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ring.Unlink(), ring.Close()) }()
	p, err := ring.JoinProducer()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()

	fmt.Println("waiting for workers")
	ctx, cancel := context.WithCancelCause(ctx)
	deal := func(first int, send func([]byte) error) { // sends every second job
		for job := first; job < count; job += 2 {
			if err := send(fmt.Append(nil, job)); err != nil {
				cancel(err) // there will be no result
				return
			}
		}
	}
	var sending sync.WaitGroup
	sending.Go(func() { deal(0, func(job []byte) error { return p.Send(ctx, job) }) })
	sending.Go(func() { deal(1, func(job []byte) error { return jobs.Send(ctx, 1, job) }) })
	err = collect(ctx, results)
	cancel(err)
	sending.Wait()
	if err != nil {
		return context.Cause(ctx) // the first failure
	}
	return nil
}

// collect prints one result of each job. A job that was done twice has two results.
func collect(ctx context.Context, results sysv.Queue) error {
	seen := make(map[int]bool)
	for buf := make([]byte, 100); len(seen) < count; {
		n, _, err := results.Receive(ctx, buf, sysv.ReceiveOptions{})
		if err != nil {
			return err
		}
		var job, square int
		var worker string
		if _, err := fmt.Sscan(string(buf[:n]), &job, &square, &worker); err != nil {
			return fmt.Errorf("result %q: %w", buf[:n], err)
		}
		if !seen[job] {
			fmt.Println(job, square, worker)
		}
		seen[job] = true
	}
	return nil
}
