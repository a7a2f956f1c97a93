// Parentchild lets a child write to its parent's shared-memory object.
//
//	$ go run ./examples/parentchild
//	child wrote 0xdbeebee
//
// The C program's child inherits the mapping through fork. Here the child is a new
// program, which finds the object by name and maps it again. Difference from the
// document: an existing object of that name is neither emptied nor removed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/sysvipc/gipc/posix"
)

const object = "sample"

func main() {
	run := parent
	if len(os.Args) == 2 && os.Args[1] == "child" {
		run = child
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "parentchild:", err)
		os.Exit(1)
	}
}

func parent() (err error) {
	// Ctrl-C ends the child, and then the parent in an orderly way.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	obj, err := posix.CreateObject(object, int64(os.Getpagesize()), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, posix.UnlinkObject(object)) }()
	mem, err := obj.Map(nil)
	obj.Close() // the mapping stays
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Unmap()) }()
	word, err := posix.View[uint](mem, 0) // u_long
	if err != nil {
		return err
	}

	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "child")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	fmt.Printf("child wrote %#x\n", *word)
	return nil
}

func child() (err error) {
	obj, err := posix.OpenObject(object, posix.ReadWrite)
	if err != nil {
		return err
	}
	defer obj.Close()
	mem, err := obj.Map(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Unmap()) }()
	word, err := posix.View[uint](mem, 0)
	if err != nil {
		return err
	}
	*word = 0xdbeebee
	return nil
}
