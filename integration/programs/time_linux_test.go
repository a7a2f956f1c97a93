package programs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// chrony is chronyd that reads a reference clock from a segment, and leaves the clock of
// the machine alone.
func chrony(r *room) service {
	pid, socket := r.path("chrony.pid"), r.owned("chrony", "_chrony")+"/socket"
	r.discard(pid)
	r.discard(socket)
	r.check(os.Chmod(filepath.Dir(socket), 0o750)) // chronyd wants that
	r.must("root", "chronyd", "-x", "-f", r.write("chrony.conf", fmt.Sprintf(`
refclock SHM 0 refid CLCK
port 0
cmdport 0
bindcmdaddress %s
pidfile %s
`, socket, pid)))
	return service{request: func() error {
		said, err := r.run("root", "chronyc", "-h", socket, "-c", "sources")
		if err == nil && !strings.Contains(said, "CLCK") {
			err = fmt.Errorf("it answered %q", said)
		}
		return err
	}}
}
