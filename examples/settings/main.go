// Settings is a configuration that all programs on the machine see at once. A reader never
// waits for a writer, and never sees half of a change, even if the writer is killed.
//
//	$ go run ./examples/settings                # in some terminals: shows every change
//	$ go run ./examples/settings 1920 1080 60   # in another: changes it
//	$ go run ./examples/settings remove
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/sysvipc/gipc/shmring"
)

type settings struct {
	Width, Height int32
	Rate          float64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	cell, err := shmring.OpenOrCreateCell[settings](ctx, "/gipc-example-settings", nil)
	if err != nil {
		log.Fatal(err)
	}
	switch args := strings.Join(os.Args[1:], " "); args {
	case "":
		err = watch(ctx, cell)
	case "remove":
		err = cell.Remove()
	default:
		var now settings
		if _, err = fmt.Sscan(args, &now.Width, &now.Height, &now.Rate); err == nil {
			_, err = cell.Store(ctx, now)
		}
	}
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func watch(ctx context.Context, cell *shmring.Cell[settings]) error {
	for version := uint64(0); ; {
		now, newer, err := cell.Wait(ctx, version)
		if err != nil {
			return err
		}
		fmt.Printf("version %d: %dx%d, %g Hz\n", newer, now.Width, now.Height, now.Rate)
		version = newer
	}
}
