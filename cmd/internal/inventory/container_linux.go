package inventory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
)

// ContainerProcess returns the process that has run longest in a container, which is named
// by RUNTIME:ID or ID. A unique prefix of the ID is enough. proc is where the proc file
// system is mounted; "" means /proc.
//
// An ordinary user can create a control group with the name of a container. If two control
// groups match, ContainerProcess returns an error.
func ContainerProcess(proc, name string) (pid int, err error) {
	f, err := procfs.Open(cmp.Or(proc, procfs.Root))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	pids, err := f.PIDs()
	if err != nil {
		return 0, err
	}
	type process struct {
		pid   int
		start time.Duration
	}
	found := make(map[procfs.ContainerGroup]process)
	exact := false
	for _, pid := range pids {
		g, err := f.ContainerGroup(pid)
		if err != nil || g.ID == "" {
			continue
		}
		full, begins := matches(g, name)
		if !begins || exact && !full {
			continue
		}
		stat, err := f.Stat(pid)
		if err != nil || stat.Exiting {
			continue
		}
		if full && !exact {
			exact = true
			clear(found)
		}
		if p, ok := found[g]; !ok || stat.Start < p.start {
			found[g] = process{pid, stat.Start}
		}
	}
	switch len(found) {
	case 0:
		return 0, fmt.Errorf("no visible process runs in a container %s", name)
	case 1:
		for _, p := range found {
			pid = p.pid
		}
		return pid, nil
	}
	groups := slices.SortedFunc(maps.Keys(found), func(a, b procfs.ContainerGroup) int { return cmp.Compare(a.Path, b.Path) })
	return 0, fmt.Errorf("%s may be %s (process %d) or %s (process %d)", name,
		groups[0].Path, found[groups[0]].pid, groups[1].Path, found[groups[1]].pid)
}

// matches reports whether name is the name of a container, and whether it is a prefix of
// it.
func matches(g procfs.ContainerGroup, name string) (full, begins bool) {
	if runtime, id, ok := strings.Cut(name, ":"); ok {
		if runtime != g.Runtime {
			return false, false
		}
		name = id
	}
	return name == g.ID, name != "" && strings.HasPrefix(g.ID, name)
}
