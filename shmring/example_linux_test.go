package shmring_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"sync"
	"time"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
)

// Two programs, here in one process, meet in a ring. Either may come first.
func ExampleOpenOrCreate() {
	ctx := context.Background()
	ring, err := shmring.OpenOrCreate(ctx, "/example-meeting", nil)
	if err != nil {
		log.Fatal(err)
	}
	producer, err := ring.JoinProducer()
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Send(ctx, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	if err := producer.Close(); err != nil {
		log.Fatal(err)
	}

	// The other program.
	other, err := shmring.OpenOrCreate(ctx, "/example-meeting", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer other.Close()
	consumer, err := other.JoinConsumer()
	if err != nil {
		log.Fatal(err)
	}
	for msg, err := range consumer.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", msg)
	}
	if err := consumer.Close(); err != nil {
		log.Fatal(err)
	}
	// Only the last process to leave can remove the ring.
	if err := other.Remove(); errors.Is(err, shmring.ErrBusy) {
		fmt.Println("somebody is still there")
	}
	if err := ring.Close(); err != nil {
		log.Fatal(err)
	}
	if err := other.Remove(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello
	// somebody is still there
}

// Both sides, here in one process, use a ring in a POSIX object.
func Example() {
	ctx := context.Background()
	obj, err := posix.CreateObject("/example-ring", int64(shmring.Size(1<<20)), &posix.ObjectOptions{Mode: 0o600, Reserve: true})
	if err != nil {
		log.Fatal(err)
	}
	defer posix.UnlinkObject("/example-ring")
	defer obj.Close()
	mem, err := obj.Map(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer mem.Unmap()
	ring, err := shmring.CreateIn(mem, nil)
	if err != nil {
		log.Fatal(err)
	}

	producer, err := ring.JoinProducer()
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"one", "two"} {
		if err := producer.Send(ctx, []byte(text)); err != nil {
			log.Fatal(err)
		}
	}
	if err := producer.Close(); err != nil {
		log.Fatal(err)
	}

	// The other process opens the object, maps it, and calls OpenIn.
	ring, err = shmring.OpenIn(mem)
	if err != nil {
		log.Fatal(err)
	}
	consumer, err := ring.JoinConsumer()
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	for msg, err := range consumer.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", msg)
	}
	// Output:
	// one
	// two
}

// exampleRing returns a ring in memory that children of the process would share.
func exampleRing(o *shmring.Options) *shmring.Ring {
	mem, err := posix.MapAnonymous(shmring.Size(1<<16), nil)
	if err != nil {
		log.Fatal(err)
	}
	ring, err := shmring.CreateIn(mem, o)
	if err != nil {
		log.Fatal(err)
	}
	return ring
}

// A message is built in the memory of the ring itself.
func ExampleProducer_Claim() {
	ctx := context.Background()
	ring := exampleRing(nil)
	producer, err := ring.JoinProducer()
	if err != nil {
		log.Fatal(err)
	}
	claim, err := producer.Claim(ctx, 100)
	if err != nil {
		log.Fatal(err)
	}
	n := copy(claim.Bytes(), "as long as it turned out to be")
	if err := claim.CommitN(n); err != nil {
		log.Fatal(err)
	}

	consumer, err := ring.JoinConsumer()
	if err != nil {
		log.Fatal(err)
	}
	msg, err := consumer.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d bytes: %s\n", len(msg), msg)
	// Output: 30 bytes: as long as it turned out to be
}

// Three producers come one after another. The consumer knows that there are three, and
// ignores the end between them.
func ExampleRing_Members() {
	ctx := context.Background()
	ring := exampleRing(&shmring.Options{Producers: shmring.Many})
	consumer, err := ring.JoinConsumer()
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for i := range 3 {
			producer, err := ring.JoinProducer()
			if err == nil {
				err = producer.Send(ctx, []byte{'a' + byte(i)})
			}
			if err == nil {
				err = producer.Close()
			}
			if err != nil {
				log.Fatal(err)
			}
		}
	}()
	const producers = 3
	for {
		msg, err := consumer.Receive(ctx)
		switch {
		case err == nil:
			fmt.Printf("%s\n", msg)
		case errors.Is(err, shmring.ErrPeerDied):
			log.Fatalf("%d of the producers have died", ring.Members().Died)
		case !errors.Is(err, io.EOF):
			log.Fatal(err)
		case ring.Members().Ended == producers:
			return // the end of the last producer
		}
	}
	// Output:
	// a
	// b
	// c
}

// The writer of a byte stream wants to know that it has arrived.
func ExampleWriter_Flush() {
	ctx := context.Background()
	ring := exampleRing(nil)
	producer, err := ring.JoinProducer()
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		consumer, err := ring.JoinConsumer()
		if err != nil {
			log.Fatal(err)
		}
		r := consumer.Reader(ctx)
		if _, err := io.ReadFull(r, make([]byte, 5)); err != nil {
			log.Fatal(err)
		}
		r.Close() // although more is coming
	}()

	w := producer.Writer(ctx)
	defer w.Close()
	if _, err := io.WriteString(w, "hello"); err != nil {
		log.Fatal(err)
	}
	fmt.Println("arrived:", w.Flush())
	for err == nil { // until the writer sees that the reader has closed
		_, err = io.WriteString(w, "more")
	}
	fmt.Println("lost:", errors.Is(err, shmring.ErrClosed))
	// Output:
	// arrived: <nil>
	// lost: true
}

// A camera sends frames to a recorder, which needs all of them, and to a display, which
// needs the newest. All are in one process here.
func ExampleBroadcast() {
	ctx := context.Background()
	b, err := shmring.OpenOrCreateBroadcast(ctx, "/example-frames", nil)
	if err != nil {
		log.Fatal(err)
	}
	recorder, err := b.Subscribe(shmring.Block, &shmring.SubscribeOptions{Label: "recorder"})
	if err != nil {
		log.Fatal(err)
	}
	display, err := b.Subscribe(shmring.Latest, nil)
	if err != nil {
		log.Fatal(err)
	}
	camera, err := b.JoinWriter(&shmring.WriterOptions{MaxWait: 10 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	sent := 0
	for err == nil {
		if err = camera.Send(ctx, make([]byte, 100_000)); err == nil {
			sent++
		}
	}
	var slow *shmring.SlowError
	if errors.As(err, &slow) {
		fmt.Printf("after %d frames: waiting for %s, %d behind\n", sent, slow.Readers[0].Label, slow.Readers[0].Behind)
	}
	err = display.View(ctx, func(frame []byte) error {
		fmt.Printf("frame %d, %d bytes\n", display.Next(), len(frame))
		return nil
	})
	if err := errors.Join(err, camera.Close(), recorder.Close(), display.Close(), b.Remove(), b.Close()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// after 10 frames: waiting for recorder, 10 behind
	// frame 0, 100000 bytes
}

// A service answers questions of many programs. All are in one process here.
func ExampleService() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	service, err := shmring.OpenOrCreateService(ctx, "/example-service", shmring.ServiceLimits{}, nil)
	if err != nil {
		log.Fatal(err)
	}
	server, err := service.JoinServer()
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(ctx, func(_ context.Context, name []byte) ([]byte, error) {
		if len(name) == 0 {
			return nil, errors.New("who is there?")
		}
		return append([]byte("hello, "), name...), nil
	})
	client, err := service.JoinClient()
	if err != nil {
		log.Fatal(err)
	}
	reply, err := client.Call(ctx, []byte("world"))
	fmt.Printf("%s %v\n", reply, err)
	_, err = client.Call(ctx, nil)
	fmt.Println(err)
	if err := errors.Join(client.Close(), server.Close(), service.Remove(), service.Close()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello, world <nil>
	// who is there?
}

// Programs share a configuration. A change reaches all that wait for one.
func ExampleCell() {
	type config struct {
		Width, Height int32
	}
	ctx := context.Background()
	cell, err := shmring.OpenOrCreateCell[config](ctx, "/example-config", nil)
	if err != nil {
		log.Fatal(err)
	}
	_, version, err := cell.Load() // the zero value: nothing was stored yet
	if err != nil {
		log.Fatal(err)
	}
	if _, err := cell.Store(ctx, config{640, 480}); err != nil {
		log.Fatal(err)
	}
	now, version, err := cell.Wait(ctx, version)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(now.Width, now.Height, version)
	if err := errors.Join(cell.Remove(), cell.Close()); err != nil {
		log.Fatal(err)
	}
	// Output: 640 480 1
}

// Jobs go from any number of senders to one receiver.
func ExampleChan() {
	type job struct{ Number, Size uint64 }
	ctx := context.Background()
	jobs, err := shmring.OpenOrCreateChan[job](ctx, "/example-jobs", 64, nil)
	if err != nil {
		log.Fatal(err)
	}
	sender, err := jobs.JoinSender()
	if err != nil {
		log.Fatal(err)
	}
	for i := range uint64(2) {
		if err := sender.Send(ctx, job{i, 10 * i}); err != nil {
			log.Fatal(err)
		}
	}
	if err := sender.Close(); err != nil {
		log.Fatal(err)
	}
	receiver, err := jobs.JoinReceiver()
	if err != nil {
		log.Fatal(err)
	}
	for j, err := range receiver.Values(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(j.Number, j.Size)
	}
	if err := errors.Join(receiver.Close(), jobs.Remove(), jobs.Close()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 0 0
	// 1 10
}

// A display merges two feeds, here of one process: messages, and a value that changes.
func ExampleSelector() {
	ctx := context.Background()
	news := exampleRing(nil)
	defer news.Close()
	cell, err := shmring.OpenOrCreateCell[float64](ctx, "/example-price", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer cell.CloseAndRemove()
	consumer, err := news.JoinConsumer()
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()

	var others sync.WaitGroup
	others.Go(func() { // in other processes
		producer, err := news.JoinProducer()
		if err == nil {
			err = producer.Send(ctx, []byte("rain in Darjeeling"))
		}
		if err == nil {
			_, err = cell.Store(ctx, 3.4)
		}
		if err != nil {
			log.Fatal(err)
		}
	})

	var selector shmring.Selector
	for version, shown := uint64(0), 0; shown < 2; {
		ready, err := selector.Select(ctx, consumer, cell.Newer(version))
		if err != nil {
			log.Fatal(err)
		}
		switch ready {
		case 0:
			msg, ok, err := consumer.TryReceive()
			if err != nil {
				log.Fatal(err)
			}
			if ok {
				fmt.Printf("news: %s\n", msg)
				shown++
			}
		case 1:
			var price float64
			if price, version, err = cell.Load(); err != nil {
				log.Fatal(err)
			}
			fmt.Println("price:", price)
			shown++
		}
	}
	others.Wait()
	// Unordered output:
	// news: rain in Darjeeling
	// price: 3.4
}
