//go:build linux

package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

func keyCommand() *cli.Command {
	return &cli.Command{
		Name:      "key",
		Usage:     "print the key that ftok(3) makes of a file and a project",
		ArgsUsage: "PATH [PROJ]",
		Action: func(c *cli.Context) error {
			args, err := command.Operands(c, 1, 2, "PATH [PROJ]")
			if err != nil {
				return err
			}
			proj := byte(1)
			if len(args) > 1 {
				if proj, err = ref.ParseProj(args[1]); err != nil {
					return command.Usage(err)
				}
			}
			key, err := sysv.Ftok(args[0], proj)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.App.Writer, key)
			return err
		},
	}
}
