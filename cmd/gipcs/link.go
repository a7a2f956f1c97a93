//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/utillinux"
)

func linkCommand() *cli.Command {
	return &cli.Command{
		Name:        "link",
		Usage:       "link ipcs, ipcrm, ipcmk and lsipc to this program",
		ArgsUsage:   "DIR",
		Description: "Put DIR first in PATH, and scripts run gipcs instead of util-linux.\nAn existing file is never replaced.",
		Action:      link,
	}
}

func link(c *cli.Context) error {
	args, err := command.Operands(c, 1, 1, "DIR")
	if err != nil {
		return err
	}
	switch info, err := os.Stat(args[0]); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the directory %s does not exist; make it first", args[0])
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", args[0])
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	names := utillinux.Names()
	// All or nothing: check every name before making the first link.
	for _, name := range names {
		if path := filepath.Join(args[0], name); !linksTo(path, self) {
			if _, err := os.Lstat(path); err == nil {
				return fmt.Errorf("%s already exists and is not a link to %s", path, self)
			}
		}
	}
	for _, name := range names {
		path := filepath.Join(args[0], name)
		if linksTo(path, self) {
			continue
		}
		if err := os.Symlink(self, path); err != nil {
			return err
		}
	}
	return nil
}

func linksTo(path, target string) bool {
	got, err := os.Readlink(path)
	return err == nil && got == target
}
