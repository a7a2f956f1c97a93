// Handover passes a ring without a name to another program: a child inherits it, and a
// program that runs already gets it through a socket. Nothing is left behind, even if
// either program is killed.
//
//	$ go run ./examples/handover
//	received: hello
//	$ go run ./examples/handover give /tmp/ring.socket     # in one terminal
//	$ go run ./examples/handover take /tmp/ring.socket     # in another
//	received: hello
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 1:
		err = parent()
	case len(os.Args) == 2 && os.Args[1] == "child":
		err = receive(posix.Inherit(3)) // the first of ExtraFiles
	case len(os.Args) == 3 && os.Args[1] == "give":
		err = give(os.Args[2])
	case len(os.Args) == 3 && os.Args[1] == "take":
		err = take(os.Args[2])
	default:
		err = errors.New("usage: handover [give SOCKET | take SOCKET]")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "handover:", err)
		os.Exit(1)
	}
}

func parent() error {
	return send(func(object *posix.Object) error {
		cmd := exec.Command("/proc/self/exe", "child")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		object.PassTo(&cmd.ExtraFiles)
		return cmd.Run()
	})
}

func give(socket string) error {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	defer l.Close() // removes the socket
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	return send(func(object *posix.Object) error { return object.SendTo(conn.(*net.UnixConn)) })
}

func take(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	return receive(posix.ReceiveObject(conn.(*net.UnixConn)))
}

// send makes a ring with a message in it and hands it over. The sender may then end: the
// ring exists as long as any process has it open or mapped.
func send(handOver func(*posix.Object) error) error {
	ring, err := shmring.CreateUnnamed("example", nil)
	if err != nil {
		return err
	}
	defer ring.Close()
	p, err := ring.JoinProducer()
	if err != nil {
		return err
	}
	if err := p.Send(context.Background(), []byte("hello")); err != nil {
		return err
	}
	return errors.Join(p.Close(), handOver(ring.Object()))
}

func receive(object *posix.Object, err error) error {
	if err != nil {
		return err
	}
	ring, err := shmring.OpenUnnamed(object)
	if err := errors.Join(err, object.Close()); err != nil { // the ring has a descriptor of its own
		return err
	}
	defer ring.Close()
	c, err := ring.JoinConsumer()
	if err != nil {
		return err
	}
	defer c.Close()
	for msg, err := range c.Messages(context.Background()) {
		if err != nil {
			return err
		}
		fmt.Printf("received: %s\n", msg)
	}
	return nil
}
