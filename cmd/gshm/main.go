//go:build linux

// Gshm works with one shared memory segment or POSIX object. It creates, attaches, shows,
// changes, locks, reads, writes and removes it, and passes streams and messages through it.
// See gshm(1) or gshm --help.
package main

import (
	"os"

	"github.com/urfave/cli/v2"

	_ "github.com/sysvipc/gipc/cmd/internal/addrspace" // lets gshm start under ulimit -v
	"github.com/sysvipc/gipc/cmd/internal/command"
)

func main() { os.Exit(command.Run(app(), os.Args)) }

const description = `A REF names a segment, or a POSIX shared-memory object:
   65538  id:65538         its identifier
   0x000004d2  key:1234    its key; after key: any C integer
   ftok:PATH[:PROJ]        the key that ftok(3) returns for PATH and PROJ,
                           1 to 255 or one character; without it 1
   /name                   a POSIX object
Sizes take K M G KiB MiB GiB (powers of 1024) and KB MB GB (powers of 1000).
Exit status: 0 done, 1 something failed, 2 the command line was wrong.`

func app() *cli.App {
	return &cli.App{
		Name:        "gshm",
		Usage:       "work with a System V shared memory segment or a POSIX object",
		Description: description,
		Commands: []*cli.Command{
			createCommand(),
			keyCommand(),
			attachCommand(),
			statCommand(),
			setCommand(),
			lockCommand(),
			unlockCommand(),
			rmCommand(),
			writeCommand(),
			readCommand(),
			sendCommand(),
			recvCommand(),
			pubCommand(),
			subCommand(),
			demoCommand(),
			benchCommand(),
			command.CompletionCommand(),
		},
	}
}
