package sysv_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"sync/atomic"
	"time"

	"github.com/sysvipc/gipc/sysv"
)

// A writer and a reader, here in one process, find a segment by the key that both derive
// from a file.
func Example() {
	key, err := sysv.Ftok("/", 'x')
	if err != nil {
		log.Fatal(err)
	}
	seg, err := sysv.CreateSegment(key, 4096, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer seg.Remove()
	writer, err := seg.Attach(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer writer.Detach()
	if _, err := writer.WriteAt([]byte("hello"), 0); err != nil {
		log.Fatal(err)
	}

	found, err := sysv.OpenSegment(key)
	if err != nil {
		log.Fatal(err)
	}
	reader, err := found.Attach(&sysv.AttachOptions{ReadOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer reader.Detach()
	text := make([]byte, 5)
	if _, err := reader.ReadAt(text, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", text)
	// Output: hello
}

// A structure that all processes share, with a counter that they can increment
// concurrently.
func ExampleView() {
	type shared struct {
		Visits atomic.Uint32
		Name   [28]byte
	}
	seg, err := sysv.CreateSegment(sysv.Private, 4096, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer seg.Remove()
	mem, err := seg.Attach(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer mem.Detach()
	s, err := sysv.View[shared](mem, 0)
	if err != nil {
		log.Fatal(err)
	}
	s.Visits.Add(1)
	fmt.Println(s.Visits.Load())
	// Output: 1
}

// The process that makes the segment fills it; the others find it.
func ExampleOpenOrCreateSegment() {
	for range 2 {
		seg, made, err := sysv.OpenOrCreateSegment(0x4d2, 4096, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(made)
		if !made {
			if err := seg.Remove(); err != nil {
				log.Fatal(err)
			}
		}
	}
	// Output:
	// true
	// false
}

// Two semaphores change in one step, or neither does.
func ExampleSet_Do() {
	set, _, err := sysv.OpenOrCreateSet(context.Background(), 0x4d2, []uint16{3, 0}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer set.Remove()
	move := []sysv.Op{{Num: 0, Add: -2}, {Num: 1, Add: 2}}
	if err := set.Do(context.Background(), move...); err != nil {
		log.Fatal(err)
	}
	values, err := set.Values()
	fmt.Println(values, err)

	// There are not two left to move, so this blocks until another process adds one.
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err = set.Do(ctx, move...)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// [1 2] <nil>
	// true
}

// A worker takes urgent jobs, of type 1, before others.
func ExampleQueue_Receive() {
	ctx := context.Background()
	queue, err := sysv.CreateQueue(sysv.Private, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer queue.Remove()
	for _, job := range []struct {
		kind int
		text string
	}{{2, "sweep"}, {1, "extinguish"}} {
		if err := queue.Send(ctx, job.kind, []byte(job.text)); err != nil {
			log.Fatal(err)
		}
	}
	text := make([]byte, 100)
	for range 2 {
		n, kind, err := queue.Receive(ctx, text, sysv.ReceiveOptions{Type: -2}) // the lowest up to 2
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(kind, string(text[:n]))
	}
	// Output:
	// 1 extinguish
	// 2 sweep
}

// Removes the segments of one owner that nobody has attached. A process that attaches one
// just before its removal keeps the memory, but no process finds it by its key any more.
func ExampleSegments() {
	const owner = 0
	for info, err := range sysv.Segments() {
		if err != nil {
			log.Fatal(err)
		}
		if info.UID == owner && info.NAttch == 0 {
			if err := sysv.Segment(info.ID).Remove(); err != nil && !errors.Is(err, fs.ErrNotExist) {
				log.Print(err)
			}
		}
	}
}
