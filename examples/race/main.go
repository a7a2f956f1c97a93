// Race is the sender and the receiver of the fifth document. They share a segment without
// anything to order their accesses. Race shows the result.
//
//	$ go run ./examples/race
//	as printed: 181887 texts written, 2060298 read, 2007311 of them torn
//	$ go run ./examples/race -mended
//	mended: 73069 texts written, 73069 read, 0 of them torn
//
// A text is one letter, repeated. The receiver counts texts with two different letters: it
// read them while the sender was writing. The numbers differ from run to run, except for
// the zero. As printed, it also reads some texts twice and misses others.
//
// Differences from the document: nobody types, and the receiver does not sleep for a second
// after every text, which hides the race without fixing it. Two semaphores fix it: one is 1
// while the segment is free, the other while it holds an unread text.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/sysvipc/gipc/sysv"
)

const (
	segmentSize = 4096
	textSize    = 4000
	end         = "end" // the last text
)

// The semaphores of the mended form.
const (
	free = iota // 1: the sender may write
	full        // 1: there is a text to read
)

// A link holds the objects that sender and receiver share.
type link struct {
	seg    sysv.Segment
	set    sysv.Set
	mended bool
}

func main() {
	mended := flag.Bool("mended", false, "take turns by semaphores")
	duration := flag.Duration("for", time.Second, "how long to send")
	flag.Parse()
	var err error
	if flag.NArg() > 0 {
		err = child(flag.Args(), *mended)
	} else {
		err = parent(*mended, *duration)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "race:", err)
		os.Exit(1)
	}
}

// parent makes the objects, starts the receiver, and acts as the sender.
func parent(mended bool, duration time.Duration) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// If the receiver is killed, do not wait for its answer forever.
	ctx, cancel := context.WithTimeout(ctx, duration+10*time.Second)
	defer cancel()

	// No other program finds objects without a key. The document's key is 123.
	l := link{mended: mended}
	if l.seg, err = sysv.CreateSegment(sysv.Private, segmentSize, nil); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.seg.Remove()) }()
	if l.set, err = sysv.CreateSet(sysv.Private, 2, nil); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.set.Remove()) }()
	if err := l.set.SetValue(free, 1); err != nil {
		return err
	}

	program, err := os.Executable()
	if err != nil {
		return err
	}
	receiver := exec.CommandContext(ctx, program, "-mended="+strconv.FormatBool(mended),
		strconv.Itoa(int(l.seg)), strconv.Itoa(int(l.set)))
	var report bytes.Buffer
	receiver.Stdout, receiver.Stderr = &report, os.Stderr
	alive, err := receiver.StdinPipe() // closes when we end, in whatever way
	if err != nil {
		return err
	}
	defer alive.Close()
	if err := receiver.Start(); err != nil {
		return err
	}
	written, err := l.send(ctx, duration)
	if err != nil {
		return errors.Join(err, receiver.Process.Kill(), ctx.Err())
	}
	if err := receiver.Wait(); err != nil {
		return errors.Join(err, ctx.Err())
	}
	form := "as printed"
	if mended {
		form = "mended"
	}
	fmt.Printf("%s: %d texts written, %s", form, written, &report)
	return nil
}

// send writes texts for the given duration, and then the last one.
func (l link) send(ctx context.Context, duration time.Duration) (written int, err error) {
	mem, err := l.seg.Attach(nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, mem.Detach()) }()
	text := mem.Bytes()[:textSize]
	for until := time.Now().Add(duration); time.Now().Before(until); written++ {
		if err := l.take(ctx, free); err != nil {
			return written, err
		}
		letter := byte('A' + written%26)
		for i := range text {
			text[i] = letter
		}
		if err := l.give(ctx, full); err != nil {
			return written, err
		}
	}
	if err := l.take(ctx, free); err != nil {
		return written, err
	}
	copy(text, end)
	return written, l.give(ctx, full)
}

// receive reads texts up to the last one.
func (l link) receive(ctx context.Context) (read, torn int, err error) {
	mem, err := l.seg.Attach(&sysv.AttachOptions{ReadOnly: true})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, mem.Detach()) }()
	text := make([]byte, textSize)
	for {
		if err := l.take(ctx, full); err != nil {
			return read, torn, err
		}
		copy(text, mem.Bytes())
		if err := l.give(ctx, free); err != nil {
			return read, torn, err
		}
		if bytes.HasPrefix(text, []byte(end)) {
			return read, torn, nil
		}
		if text[0] == 0 {
			continue // nothing has been written yet
		}
		read++
		if bytes.Count(text, text[:1]) != textSize {
			torn++
		}
	}
}

// take waits until the semaphore is 1 and sets it to 0, in the mended form.
func (l link) take(ctx context.Context, num uint16) error {
	if !l.mended {
		return ctx.Err()
	}
	return l.set.Do(ctx, sysv.Op{Num: num, Add: -1})
}

// give sets the semaphore to 1.
func (l link) give(ctx context.Context, num uint16) error {
	if !l.mended {
		return nil
	}
	return l.set.Do(ctx, sysv.Op{Num: num, Add: 1})
}

// child is the receiver. It ends with its parent.
func child(ids []string, mended bool) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if len(ids) != 2 {
		return errors.New("usage: race [-mended] [-for DURATION]")
	}
	seg, err := strconv.Atoi(ids[0])
	if err != nil {
		return err
	}
	set, err := strconv.Atoi(ids[1])
	if err != nil {
		return err
	}
	l := link{seg: sysv.Segment(seg), set: sysv.Set(set), mended: mended}
	read, torn, err := l.receive(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d read, %d of them torn\n", read, torn)
	return nil
}
