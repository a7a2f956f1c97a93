// Package logind finds out whether systemd-logind removes the objects of users who have
// logged out (RemoveIPC= in logind.conf(5)), the usual reason why objects vanish
// unexpectedly.
package logind

import (
	"bufio"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Removes reports whether logind runs and removes users' System V and POSIX objects at
// logout. system is the root of the file system.
func Removes(system fs.FS) bool {
	if _, err := fs.Stat(system, "run/systemd/users"); err != nil { // logind keeps its state there
		return false
	}
	removes := true // the default, unless the distribution changed it
	for _, file := range files(system) {
		eachLine(system, file, func(line string) {
			// A commented-out line in the distribution's file shows the built-in
			// default.
			line = strings.TrimPrefix(line, "#")
			if value, ok := strings.CutPrefix(line, "RemoveIPC="); ok {
				removes = isTrue(strings.TrimSpace(value))
			}
		})
	}
	return removes
}

// files returns the configuration files in ascending precedence. A file hides files of
// the same name in later directories.
func files(system fs.FS) (list []string) {
	for _, dir := range [...]string{"etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd"} {
		if _, err := fs.Stat(system, dir+"/logind.conf"); err == nil {
			list = append(list, dir+"/logind.conf")
			break
		}
	}
	named := make(map[string]string)
	var names []string
	for _, dir := range [...]string{"usr/lib", "usr/local/lib", "run", "etc"} {
		found, _ := fs.Glob(system, dir+"/systemd/logind.conf.d/*.conf") // the pattern is valid
		for _, file := range found {
			if named[path.Base(file)] == "" {
				names = append(names, path.Base(file))
			}
			named[path.Base(file)] = file
		}
	}
	slices.Sort(names)
	for _, name := range names {
		list = append(list, named[name])
	}
	return list
}

// isTrue parses a boolean like systemd.
func isTrue(value string) bool {
	switch strings.ToLower(value) {
	case "1", "yes", "y", "true", "t", "on":
		return true
	}
	return false
}

// SystemUser reports whether uid is a system user: at most LastSystemUser, or nobody.
// logind leaves the objects of system users alone.
func SystemUser(system fs.FS, uid uint32) bool {
	const nobody = 65534
	return uid <= LastSystemUser(system) || uid == nobody
}

// LastSystemUser returns SYS_UID_MAX of login.defs(5).
func LastSystemUser(system fs.FS) uint32 {
	last := uint32(999)
	eachLine(system, "etc/login.defs", func(line string) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == "SYS_UID_MAX" {
			if n, err := strconv.ParseUint(words[1], 10, 32); err == nil {
				last = uint32(n)
			}
		}
	})
	return last
}

func eachLine(system fs.FS, name string, visit func(line string)) {
	f, err := system.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		visit(strings.TrimSpace(lines.Text()))
	}
}
