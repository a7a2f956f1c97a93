//go:build linux

// Gipcs lists and cleans up the System V and POSIX IPC objects of a system. Called as
// ipcs, ipcrm, ipcmk or lsipc it behaves like that program. See gipcs(1) or gipcs
// --help.
package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	_ "github.com/sysvipc/gipc/cmd/internal/addrspace" // lets gipcs start under ulimit -v
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/utillinux"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
)

func main() { os.Exit(run(os.Args)) }

// run starts the drop-in programs without package cli, whose setup would cost time at
// every start.
func run(argv []string) int {
	name := filepath.Base(argv[0])
	if stand := utillinux.Lookup(name); stand != nil {
		return stand(argv[1:], environment(argv[0]))
	}
	if listsAsIpcs(argv[1:]) {
		return utillinux.Lookup("ipcs")(argv[1:], environment(argv[0]))
	}
	a := app()
	status := command.Run(a, argv)
	if a.Metadata[wasRead] == nil && status == command.Misuse && asksForMonitor(argv) {
		return stateUnknown
	}
	return status
}

// listsAsIpcs reports whether these are arguments of ipcs: none, or flags first.
func listsAsIpcs(args []string) bool {
	if len(args) == 0 {
		return true
	}
	if command.Completing(args) {
		return false
	}
	switch args[0] {
	case "-h", "--help", "-V", "--version":
		return false
	}
	return strings.HasPrefix(args[0], "-")
}

func environment(name string) program.Env {
	return program.Env{
		Name: name, Version: command.Version,
		Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv,
	}
}

const description = `Without a command, and with the flags of ipcs(1), it prints what ipcs prints.

A KIND:REF names an object:
   shm:65538  sem:id:5         by its identifier
   shm:0x4d2  msg:key:1234     by its key; after key: any C integer
   sem:ftok:PATH[:PROJ]        by the key that ftok(3) makes of PATH and PROJ
   pshm:/name psem:/name       a POSIX object by its name, also pmsg:/name
Exit status: 0 success, 1 failure, 2 wrong command line.`

func app() *cli.App {
	return &cli.App{
		Name:        "gipcs",
		Usage:       "see and clean the System V and POSIX IPC objects of a system",
		UsageText:   "gipcs [-mqsa] [-tpclu] [-i ID]\ngipcs COMMAND [FLAG...] [ARG...]",
		Description: description,
		Commands: slices.Concat(
			group("Inspect", lsCommand(), showCommand(), graphCommand(), reportCommand(), limitsCommand(), nsCommand(), doctorCommand()),
			group("Watch", watchCommand(), snapshotCommand(), diffCommand()),
			group("Clean up", rmCommand(), cleanCommand(), restoreCommand()),
			group("Make and set up", mkCommand(), linkCommand(), command.CompletionCommand()),
		),
	}
}

// group puts commands into a group of the help, which has its groups in alphabetical
// order.
func group(name string, commands ...*cli.Command) []*cli.Command {
	for _, c := range commands {
		c.Category = name
	}
	return commands
}
