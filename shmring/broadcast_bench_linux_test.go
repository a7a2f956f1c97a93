package shmring_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
)

// drain receives COUNT messages of a broadcast by copying them out, or in place if there is
// a third argument: POLICY COUNT [HOW].
func drain(args []string) error {
	b, err := inherited(3, shmring.OpenBroadcastIn)
	if err != nil {
		return err
	}
	s, err := b.Subscribe(shmring.Policy(number(args[0])), nil)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	ctx, sum := context.Background(), uint64(0)
	for range number(args[1]) {
		if len(args) == 2 {
			_, err = s.Receive(ctx)
		} else {
			err = s.View(ctx, func(msg []byte) error { sum += touch(msg); return nil })
		}
		if err != nil {
			return err
		}
	}
	fmt.Println("done", s.Lost(), sum)
	return nil
}

// drainRing is drain for a ring: COUNT SIZE [HOW].
func drainRing(args []string) error {
	ring, err := openInherited()
	if err != nil {
		return err
	}
	c, err := ring.JoinConsumer()
	if err != nil {
		return err
	}
	fmt.Println("ready")
	held, sum := make([]byte, number(args[1])), uint64(0)
	for range number(args[0]) {
		msg, err := c.Receive(context.Background())
		if err != nil {
			return err
		}
		if len(args) == 2 {
			copy(held, msg)
		} else {
			sum += touch(msg)
		}
	}
	fmt.Println("done", sum)
	return nil
}

// touch reads a word of each cache line.
func touch(msg []byte) (sum uint64) {
	for i := 0; i+8 <= len(msg); i += 64 {
		sum += binary.NativeEndian.Uint64(msg[i:])
	}
	return sum
}

// A crew holds the outputs of some readers, which print when they are ready and when they
// are done.
type crew []*bufio.Reader

// muster starts the readers and waits until they are ready.
func muster(b *testing.B, cmds ...*exec.Cmd) (all crew) {
	b.Helper()
	for _, cmd := range cmds {
		out, err := cmd.StdoutPipe()
		noError(b, err)
		noError(b, cmd.Start())
		r := bufio.NewReader(out)
		if line, err := r.ReadString('\n'); line != "ready\n" {
			b.Fatalf("reader: %q, %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// done returns the last line of each reader, after it has ended.
func (c crew) done(b *testing.B, cmds ...*exec.Cmd) (lines []string) {
	b.Helper()
	for i, r := range c {
		rest, err := io.ReadAll(r)
		noError(b, errors.Join(err, cmds[i].Wait()))
		lines = append(lines, string(bytes.TrimSpace(rest)))
	}
	return lines
}

// reserve gives the memory all its pages, so that no contender waits for new ones.
func reserve(b *testing.B, f *os.File) {
	b.Helper()
	info, err := f.Stat()
	noError(b, err)
	noError(b, unix.Fallocate(int(f.Fd()), 0, 0, info.Size()))
}

const listeners = 4

func broadcastTo(count, size, capacity int, how ...any) contender {
	return func(b *testing.B) float64 {
		bc, f := newBroadcast(b, capacity)
		w := writer(b, bc, nil)
		var cmds []*exec.Cmd
		for range listeners {
			cmds = append(cmds, goPeer(b, self(b), f, "drain", append([]any{int(shmring.Block), count}, how...)...))
		}
		crew := muster(b, cmds...)
		msg := make([]byte, size)
		began := time.Now()
		for range count {
			noError(b, w.Send(b.Context(), msg))
		}
		crew.done(b, cmds...)
		return float64(count) / time.Since(began).Seconds()
	}
}

func ringEach(count, size, capacity int, how ...any) contender {
	return func(b *testing.B) float64 {
		var cmds []*exec.Cmd
		var to []*shmring.Producer
		for range listeners {
			ring, f := newRing(b, capacity, shmring.One)
			reserve(b, f)
			to = append(to, producer(b, ring))
			cmds = append(cmds, goPeer(b, self(b), f, "drainRing", append([]any{count, size}, how...)...))
		}
		crew := muster(b, cmds...)
		msg := make([]byte, size)
		began := time.Now()
		for range count {
			for _, p := range to {
				noError(b, p.Send(b.Context(), msg))
			}
		}
		crew.done(b, cmds...)
		return float64(count) / time.Since(began).Seconds()
	}
}

// BenchmarkBroadcast compares a broadcast to four readers with a ring for each.
func BenchmarkBroadcast(b *testing.B) {
	b.Run("256B", func(b *testing.B) {
		duel(b, "M/s", 1e6, broadcastTo(1_000_000, 256, 4<<20), ringEach(1_000_000, 256, 4<<20))
	})
	b.Run("1MiB", func(b *testing.B) {
		duel(b, "k/s", 1e3, broadcastTo(2000, 1<<20, 8<<20), ringEach(2000, 1<<20, 8<<20))
	})
	b.Run("1MiBInPlace", func(b *testing.B) {
		duel(b, "k/s", 1e3, broadcastTo(2000, 1<<20, 8<<20, "in place"), ringEach(2000, 1<<20, 8<<20, "in place"))
	})
}

const (
	frameSize = 1920 * 1080 * 3
	frameRate = 30
	frames    = 8 * frameRate // 8 s; a reader is stopped for 5 s of them
	frameRoom = 256 << 20     // 43 frames: a reader may be more than a second late
)

// watchFrames reads frames in place until the writer closes, and prints how many.
func watchFrames([]string) error {
	b, err := inherited(3, func(m *posix.Mapping) (*shmring.Broadcast, error) {
		if err := m.Prefault(); err != nil {
			return nil, err
		}
		return shmring.OpenBroadcastIn(m)
	})
	if err != nil {
		return err
	}
	s, err := b.Subscribe(shmring.Latest, nil)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	var sum uint64
	for received := 0; ; {
		err := s.View(context.Background(), func(frame []byte) error {
			sum += touch(frame)
			return nil
		})
		switch {
		case errors.Is(err, io.EOF):
			fmt.Println(received, s.Lost(), s.Next())
			return nil
		case errors.Is(err, shmring.ErrOverwritten):
		case err != nil:
			return err
		default:
			received++
		}
	}
}

// film sends frames at a fixed rate to three readers. If stop is set, it stops one of them
// for 5 s. It returns the pace of the writer.
func film(stop bool) contender {
	return func(b *testing.B) float64 {
		bc, f := newBroadcast(b, frameRoom)
		w := writer(b, bc, nil)
		var cmds []*exec.Cmd
		for range 3 {
			cmds = append(cmds, goPeer(b, self(b), f, "watchFrames"))
		}
		crew := muster(b, cmds...)
		began := time.Now()
		for i := range frames {
			switch {
			case stop && i == frameRate:
				noError(b, cmds[2].Process.Signal(unix.SIGSTOP))
			case stop && i == 6*frameRate:
				noError(b, cmds[2].Process.Signal(unix.SIGCONT))
			}
			noError(b, w.SendFunc(b.Context(), frameSize, func(p []byte) (int, error) {
				for at := 0; at < len(p); at += 4096 {
					binary.NativeEndian.PutUint64(p[at:], uint64(i))
				}
				return len(p), nil
			}))
			time.Sleep(time.Until(began.Add(time.Duration(i+1) * time.Second / frameRate)))
		}
		pace := frames / time.Since(began).Seconds()
		noError(b, w.Close())
		for i, line := range crew.done(b, cmds...) {
			b.Logf("stop %v, reader %d: received, lost, next: %s", stop, i, line)
		}
		return pace
	}
}

// BenchmarkFrames measures the pace of a writer that sends video frames to three readers of
// Latest, with and without one of them stopped for 5 s.
func BenchmarkFrames(b *testing.B) {
	duel(b, "frames/s", 1, film(true), film(false))
}

// drainChan receives COUNT jobs.
func drainChan(args []string) error {
	c, err := inherited(3, shmring.OpenChanIn[job])
	if err != nil {
		return err
	}
	r, err := c.JoinReceiver()
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for range number(args[0]) {
		if _, err := r.Receive(context.Background()); err != nil {
			return err
		}
	}
	fmt.Println("done")
	return nil
}

// drainSocket receives COUNT jobs from descriptor 3.
func drainSocket(args []string) error {
	conn, err := net.FileConn(os.NewFile(3, "socket"))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	var j job
	buf := make([]byte, binary.Size(j))
	for range number(args[0]) {
		if _, err := io.ReadFull(conn, buf); err != nil {
			return err
		}
		if _, err := binary.Decode(buf, binary.NativeEndian, &j); err != nil {
			return err
		}
	}
	fmt.Println("done")
	return nil
}

// BenchmarkChan compares a Chan with a Unix socket, which carries each value by itself.
func BenchmarkChan(b *testing.B) {
	const many, few = 4_000_000, 200_000
	duel(b, "M/s", 1e6, func(b *testing.B) float64 {
		c, f := newChan[job](b, 4<<20, shmring.Many)
		reserve(b, f)
		s, err := c.JoinSender()
		noError(b, err)
		cmd := goPeer(b, self(b), f, "drainChan", many)
		crew := muster(b, cmd)
		began := time.Now()
		for i := range uint64(many) {
			noError(b, s.Send(b.Context(), newJob(1, i)))
		}
		crew.done(b, cmd)
		rate := many / time.Since(began).Seconds()
		noError(b, s.Close())
		return rate
	}, func(b *testing.B) float64 {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		noError(b, err)
		ours, theirs := os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket")
		defer theirs.Close()
		conn, err := net.FileConn(ours)
		noError(b, errors.Join(err, ours.Close()))
		defer conn.Close()
		cmd := goPeer(b, self(b), theirs, "drainSocket", few)
		crew := muster(b, cmd)
		var buf []byte
		began := time.Now()
		for i := range uint64(few) {
			buf, err = binary.Append(buf[:0], binary.NativeEndian, newJob(1, i))
			noError(b, err)
			_, err = conn.Write(buf)
			noError(b, err)
		}
		crew.done(b, cmd)
		return few / time.Since(began).Seconds()
	})
}
