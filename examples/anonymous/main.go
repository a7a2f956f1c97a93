// Anonymous shares unnamed memory between a parent and its child.
//
//	$ go run ./examples/anonymous
//	child:set memory 1
//	parent:memory value 1
//
// The C program maps anonymous memory and forks. A Go program does not fork: its child
// is a new program, without its parent's mappings. But it can inherit a descriptor, so
// the memory is a memfd, which has no name either and ends with its last user.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/sysvipc/gipc/posix"
)

func main() {
	run := parent
	if len(os.Args) == 3 && os.Args[1] == "child" {
		run = func() error { return child(os.Args[2]) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "anonymous:", err)
		os.Exit(1)
	}
}

func parent() (err error) {
	obj, err := posix.CreateMemfd("anonymous", 4, nil)
	if err != nil {
		return err
	}
	defer obj.Close()
	mem, err := obj.Map(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Unmap()) }()
	value, err := posix.View[int32](mem, 0)
	if err != nil {
		return err
	}

	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "child")
	cmd.Args = append(cmd.Args, strconv.Itoa(obj.PassTo(&cmd.ExtraFiles)))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// Run waits for the child to end. The document's program sleeps for a second instead.
	if err := cmd.Run(); err != nil {
		return err
	}
	fmt.Printf("parent:memory value %d\n", *value)
	return nil
}

func child(descriptor string) (err error) {
	fd, err := strconv.Atoi(descriptor)
	if err != nil {
		return err
	}
	obj, err := posix.Inherit(fd)
	if err != nil {
		return err
	}
	defer obj.Close()
	mem, err := obj.Map(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Unmap()) }()
	value, err := posix.View[int32](mem, 0)
	if err != nil {
		return err
	}
	*value = 1
	fmt.Printf("child:set memory %d\n", *value)
	return nil
}
