//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/getopt/cliargs"
	"github.com/sysvipc/gipc/cmd/internal/shm"
)

func attachCommand() *cli.Command {
	return &cli.Command{
		Name:         "attach",
		Usage:        "attach an object until interrupted, or while a command runs",
		ArgsUsage:    "REF [-- COMMAND ARG...]",
		BashComplete: command.CompleteWith(everyRef),
		Description: "The command does not inherit the attachment, which does not survive exec(2).\n" +
			"It finds the identifier or the name in the environment variable GSHM_ID.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "read-only", Aliases: []string{"r"}, Usage: "attach for reading alone", DisableDefaultText: true},
			&cli.StringFlag{Name: "at", Usage: "attach at the address `ADDR`", DefaultText: "the kernel chooses"},
			&cli.BoolFlag{Name: "populate", Usage: "make all pages present at once", DisableDefaultText: true},
		},
		Action: attach,
	}
}

func attach(c *cli.Context) error {
	operands, argv, found := cliargs.Cut(c.Args())
	switch {
	case len(operands) == 0:
		return command.Usagef("REF is missing")
	case len(operands) > 1:
		return command.Usagef("unexpected argument %q; write a command to run after --", operands[1])
	case found && len(argv) == 0:
		return command.Usagef("the command behind -- is missing")
	}
	options := shm.AttachOptions{ReadOnly: c.Bool("read-only"), Populate: c.Bool("populate")}
	if c.IsSet("at") {
		addr, err := strconv.ParseUint(c.String("at"), 0, strconv.IntSize)
		if err != nil || addr == 0 {
			return command.Usagef("--at: %q is no address; write it like 0x7f0000000000", c.String("at"))
		}
		options.Addr = uintptr(addr)
	}
	o, err := findObject(operands[0])
	if err != nil {
		return err
	}
	mem, err := o.Attach(options)
	if err != nil {
		return err
	}
	if found {
		err = runAttached(argv, o)
	} else {
		err = hold(c, o, mem)
	}
	return errors.Join(err, mem.Detach())
}

func hold(c *cli.Context, o shm.Object, mem shm.Mapping) error {
	ctx, stop := command.Interruptible(c.Context)
	defer stop()
	access := "read-write"
	if mem.ReadOnly() {
		access = "read-only"
	}
	if _, err := fmt.Fprintf(c.App.Writer, "%v attached %s at %#x, %d bytes\n", o, access, mem.Addr(), mem.Len()); err != nil {
		return err
	}
	if command.IsTerminal(c.App.ErrWriter) {
		fmt.Fprintln(c.App.ErrWriter, "(held until Ctrl-C)")
	}
	<-ctx.Done()
	return nil
}

// runAttached runs a command and ends with its status. An interrupt from the terminal also
// reaches the command; this process only waits for the command to react.
func runAttached(argv []string, o shm.Object) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "GSHM_ID="+o.Ref())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return err
	}
	over := make(chan struct{})
	defer close(over)
	go forward(signals, cmd.Process, over)
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return command.Exit(128 + int(ws.Signal()))
		}
		return command.Exit(exit.ExitCode())
	}
	return err
}

// forward passes signals on to the command, except SIGINT, which the terminal also sends to
// the command.
func forward(signals <-chan os.Signal, to *os.Process, over <-chan struct{}) {
	for {
		select {
		case s := <-signals:
			if s != os.Interrupt {
				_ = to.Signal(s) // the command may have ended
			}
		case <-over:
			return
		}
	}
}
