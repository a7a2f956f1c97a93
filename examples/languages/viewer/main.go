// Command viewer is a viewer in Go. It receives the frames of frames.py until that program
// ends.
//
//	go run ./examples/languages/viewer
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/sysvipc/gipc/shmring"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal("viewer: ", err)
	}
}

func run(ctx context.Context) error {
	frames, err := shmring.OpenOrCreateBroadcast(ctx, "/gipc-example-viewers", &shmring.NamedOptions{Capacity: 1 << 16})
	if err != nil {
		return err
	}
	in, err := frames.Subscribe(shmring.Latest, &shmring.SubscribeOptions{Label: "viewer in Go"})
	if err != nil {
		return errors.Join(err, frames.Close())
	}
	fmt.Println("ready")
	for frame, err := range in.Messages(ctx) {
		if err != nil {
			return err
		}
		fmt.Printf("Go: a frame of %d bytes, the last is %d\n", len(frame), frame[len(frame)-1])
	}
	if err := in.Close(); err != nil {
		return err
	}
	return frames.CloseAndRemove() // the last process removes it
}
