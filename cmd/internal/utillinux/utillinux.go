// Package utillinux is the four programs of util-linux that gipcs stands in for,
// as functions. What they print is the original's, so that scripts go on working;
// docs/compat.md lists where they differ and why.
package utillinux

import (
	"github.com/sysvipc/gipc/cmd/internal/utillinux/ipcmk"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/ipcrm"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/ipcs"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/lsipc"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
)

// Names returns the names of the programs.
func Names() []string { return []string{"ipcs", "ipcrm", "ipcmk", "lsipc"} }

// Lookup returns the program of a name without directories, nil if it is none of
// Names.
func Lookup(name string) program.Main {
	switch name {
	case "ipcs":
		return ipcs.Main
	case "ipcrm":
		return ipcrm.Main
	case "ipcmk":
		return ipcmk.Main
	case "lsipc":
		return lsipc.Main
	}
	return nil
}
