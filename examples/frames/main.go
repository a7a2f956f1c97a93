// Frames passes the frames of one camera to any number of windows. A window that is too
// slow misses frames. A window that is killed affects no other process.
//
//	$ go run ./examples/frames left     # a window, in some terminals, at any time
//	$ go run ./examples/frames          # the camera, in another; Ctrl-C ends them all
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sysvipc/gipc/shmring"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	b, err := shmring.OpenOrCreateBroadcast(ctx, "/gipc-example-frames", nil)
	if err == nil && len(os.Args) > 1 {
		err = watch(ctx, b, os.Args[1])
	} else if err == nil {
		err = film(ctx, b)
	}
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func film(ctx context.Context, b *shmring.Broadcast) error {
	w, err := b.JoinWriter(nil)
	if err != nil {
		return err
	}
	for n := 0; err == nil; n++ {
		err = w.Send(ctx, bytes.Repeat([]byte{byte(n)}, 640*480)) // a frame of one shade
		time.Sleep(time.Second / 60)
	}
	return errors.Join(err, w.Close(), b.Unlink()) // the windows see the end
}

func watch(ctx context.Context, b *shmring.Broadcast, window string) error {
	s, err := b.Subscribe(shmring.Latest, &shmring.SubscribeOptions{Label: window})
	if err != nil {
		return err
	}
	for frame, err := range s.Messages(ctx) {
		if err != nil {
			return err
		}
		fmt.Printf("%s: frame %d, %d bytes, %d lost\n", window, s.Next()-1, len(frame), s.Lost())
	}
	return s.Close()
}
