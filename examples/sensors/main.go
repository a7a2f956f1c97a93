// Sensors passes readings of several senders to one collector, as values of a Go type.
// Senders and the collector may be killed and started again. The collector removes the
// channel at its end.
//
//	$ go run ./examples/sensors            # the collector, in one terminal
//	$ go run ./examples/sensors 7 21.5     # a reading of sensor 7, in others
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

type reading struct{ Sensor, Celsius float64 }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	readings, err := shmring.OpenOrCreateChan[reading](ctx, "/gipc-example-sensors", 64, &shmring.NamedOptions{Outlive: true})
	if err == nil && len(os.Args) == 1 {
		err = collect(ctx, readings)
	} else if err == nil {
		err = send(ctx, readings, strings.Join(os.Args[1:], " "))
	}
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func collect(ctx context.Context, readings *shmring.Chan[reading]) error {
	r, err := readings.JoinReceiver()
	if err != nil {
		return err
	}
	for {
		got, err := r.Receive(ctx)
		if err != nil {
			return errors.Join(err, r.Close(), readings.CloseAndRemove())
		}
		fmt.Printf("sensor %g: %g °C\n", got.Sensor, got.Celsius)
	}
}

func send(ctx context.Context, readings *shmring.Chan[reading], text string) error {
	var now reading
	if _, err := fmt.Sscan(text, &now.Sensor, &now.Celsius); err != nil {
		return err
	}
	s, err := readings.JoinSender()
	if err != nil {
		return err
	}
	return errors.Join(s.Send(ctx, now), s.Close()) // waits while 64 readings are there
}
