// Monitor shows two feeds at once: the frames of the camera of examples/frames, at the size
// that examples/settings stores. It waits for both, and neither delays the other.
//
//	$ go run ./examples/monitor                 # in one terminal
//	$ go run ./examples/frames                  # the camera, in another; Ctrl-C ends both
//	$ go run ./examples/settings 1920 1080 60   # in a third, at any time
//	$ go run ./examples/settings remove
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/sysvipc/gipc/shmring"
)

type settings struct {
	Width, Height int32
	Rate          float64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := show(ctx)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func show(ctx context.Context) error {
	b, err := shmring.OpenOrCreateBroadcast(ctx, "/gipc-example-frames", nil)
	if err != nil {
		return err
	}
	frames, err := b.Subscribe(shmring.Latest, &shmring.SubscribeOptions{Label: "monitor"})
	if err != nil {
		return err
	}
	cell, err := shmring.OpenOrCreateCell[settings](ctx, "/gipc-example-settings", nil)
	if err != nil {
		return err
	}
	err = merge(ctx, frames, cell)
	return errors.Join(err, frames.Close(), b.CloseAndRemove(), cell.Close())
}

// merge shows both feeds until the camera ends.
func merge(ctx context.Context, frames *shmring.Subscription, cell *shmring.Cell[settings]) error {
	var selector shmring.Selector
	var now settings
	for version := uint64(0); ; {
		ready, err := selector.Select(ctx, frames, cell.Newer(version))
		if err != nil {
			return err
		}
		switch ready {
		case 0:
			frame, ok, err := frames.TryReceive()
			switch {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return err
			case ok:
				fmt.Printf("frame %d, %d bytes, at %dx%d\n", frames.Next()-1, len(frame), now.Width, now.Height)
			}
		case 1:
			if now, version, err = cell.Load(); err != nil {
				return err
			}
			fmt.Printf("settings: %dx%d, %g Hz\n", now.Width, now.Height, now.Rate)
		}
	}
}
