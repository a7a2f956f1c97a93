package command

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/safepath"
)

// libexec is the folder of programs that are run only as commands. It is relative to the
// folder of this program.
const libexec = "../libexec/gipc"

// runExternal replaces this process by the program PROGRAM-NAME if the first argument is NAME
// and app has no such command. It returns only if there is no such program, with nil, or if
// it cannot be run.
func runExternal(app *cli.App, argv []string) error {
	if len(argv) < 2 || !isCommandName(argv[1]) || app.Command(argv[1]) != nil {
		return nil
	}
	path := findExternal(app.Name + "-" + argv[1])
	if path == "" {
		return nil
	}
	if os.Geteuid() == 0 {
		if err := safepath.CheckProgram(path); err != nil {
			return err
		}
	}
	if err := unix.Exec(path, append([]string{path}, argv[2:]...), os.Environ()); err != nil {
		return &fs.PathError{Op: "run", Path: path, Err: err}
	}
	return nil
}

// isCommandName reports whether name can be the name of a command: not a flag, and not a
// path.
func isCommandName(name string) bool {
	return name != "" && name[0] != '-' && name[0] != '.' && IsPlain(name) && !strings.Contains(name, "/")
}

// findExternal returns the absolute path of a program, or "".
func findExternal(program string) string {
	for _, dir := range externalDirs() {
		path := filepath.Join(dir, program)
		if isProgram(path) {
			return path
		}
	}
	return ""
}

// externalDirs returns the folders that are searched for programs: this program's own,
// libexec, and PATH, in that order. It skips relative folders on PATH.
func externalDirs() (dirs []string) {
	if self, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(self), filepath.Join(filepath.Dir(self), libexec))
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil
}

// externals returns the names of the commands that are programs of their own, in order.
func externals(app *cli.App) (names []string) {
	for _, dir := range externalDirs() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			name, ok := strings.CutPrefix(e.Name(), app.Name+"-")
			if ok && isCommandName(name) && app.Command(name) == nil && isProgram(filepath.Join(dir, e.Name())) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// helpWithExternals adds the commands that are programs of their own to the description, when
// the help of app is asked for.
func helpWithExternals(app *cli.App, argv []string) {
	if len(argv) < 2 || !slices.Contains([]string{"-h", "--help"}, argv[1]) {
		return
	}
	if names := externals(app); len(names) > 0 {
		app.Description += fmt.Sprintf("\nAlso installed: %s. See '%s %s --help'.", strings.Join(names, " "), app.Name, names[0])
	}
}

// completeExternals adds the external commands to the completion of app's own commands.
func completeExternals(other cli.BashCompleteFunc) cli.BashCompleteFunc {
	return func(c *cli.Context) {
		other(c)
		printWords(c, "", externals(c.App))
	}
}
