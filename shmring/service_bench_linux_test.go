package shmring_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/shmring"
)

// echoService answers each request with itself, in COUNT goroutines, until it is killed.
func echoService(args []string) error {
	s, err := inherited(3, shmring.OpenServiceIn)
	if err != nil {
		return err
	}
	v, err := s.JoinServer()
	if err != nil {
		return err
	}
	fmt.Println("ready")
	done := make(chan error)
	for range number(args[0]) {
		go func() { done <- v.Serve(context.Background(), echo) }()
	}
	return <-done
}

// echoSockets answers each request of SIZE bytes with itself, on COUNT sockets from
// descriptor 3 on, until it is killed.
func echoSockets(args []string) error {
	fmt.Println("ready")
	done := make(chan error)
	for i := range number(args[1]) {
		go func() {
			conn, err := net.FileConn(os.NewFile(uintptr(3+i), "socket"))
			buf := make([]byte, number(args[0]))
			for err == nil {
				if _, err = io.ReadFull(conn, buf); err == nil {
					_, err = conn.Write(buf)
				}
			}
			done <- err
		}()
	}
	return <-done
}

// exchanges calls each function count times, all functions at the same time, and returns
// the rate.
func exchanges(b *testing.B, count int, calls []func() error) float64 {
	b.Helper()
	var all sync.WaitGroup
	began := time.Now()
	for _, call := range calls {
		all.Go(func() {
			for range count {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return float64(count*len(calls)) / time.Since(began).Seconds()
}

// byService has n goroutines call a service with size bytes each way.
func byService(n, count, size int) contender {
	return func(b *testing.B) float64 {
		s, f := newService(b, shmring.ServiceLimits{MaxMessage: size, Clients: 1})
		c := joinClient(b, s)
		child := goPeer(b, self(b), f, "echoService", min(n, 2))
		muster(b, child)
		request := make([]byte, size)
		call := func() error {
			reply, err := c.Call(b.Context(), request)
			if err == nil && len(reply) != size {
				err = fmt.Errorf("a reply of %d bytes", len(reply))
			}
			return err
		}
		calls := make([]func() error, n)
		for i := range calls {
			calls[i] = call
		}
		r := exchanges(b, count, calls)
		kill(b, child)
		return r
	}
}

// bySocket has n goroutines call a server, each through a Unix socket of its own.
func bySocket(n, count, size int) contender {
	return func(b *testing.B) float64 {
		var theirs []*os.File
		calls := make([]func() error, n)
		for i := range calls {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			noError(b, err)
			ours := os.NewFile(uintptr(fds[0]), "socket")
			theirs = append(theirs, os.NewFile(uintptr(fds[1]), "socket"))
			conn, err := net.FileConn(ours)
			noError(b, errors.Join(err, ours.Close()))
			defer conn.Close()
			request := make([]byte, size)
			calls[i] = func() error {
				if _, err := conn.Write(request); err != nil {
					return err
				}
				reply := make([]byte, size) // a service also returns new memory
				_, err := io.ReadFull(conn, reply)
				return err
			}
		}
		child := goPeer(b, self(b), nil, "echoSockets", size, n)
		child.ExtraFiles = theirs
		muster(b, child)
		for _, f := range theirs {
			noError(b, f.Close())
		}
		r := exchanges(b, count, calls)
		kill(b, child)
		return r
	}
}

// BenchmarkService compares calls of a service with a Unix socket: one after another, and
// eight at a time.
func BenchmarkService(b *testing.B) {
	for _, size := range []struct {
		name         string
		bytes, count int
	}{{"64B", 64, 20_000}, {"4KiB", 4 << 10, 20_000}, {"64KiB", 64 << 10, 4000}} {
		for name, n := range map[string]int{"Latency": 1, "Throughput": 8} {
			b.Run(name+"/"+size.name, func(b *testing.B) {
				duel(b, "kcalls/s", 1e3, byService(n, size.count/n, size.bytes), bySocket(n, size.count/n, size.bytes))
			})
		}
	}
}

// BenchmarkCall measures calls within a process, and counts their allocations.
func BenchmarkCall(b *testing.B) {
	s, _ := newService(b, shmring.ServiceLimits{})
	serving(b, s, 1, echo)
	c := joinClient(b, s)
	request := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Call(b.Context(), request); err != nil {
			b.Fatal(err)
		}
	}
}
