// Package utillinux is the four util-linux programs that gipcs replaces, as functions.
// Their output is the original's, so that scripts keep working; docs/compat.md lists
// the differences with reasons.
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

// Lookup returns the program with a name (without directories), or nil if it is not one
// of Names.
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
