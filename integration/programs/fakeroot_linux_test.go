package programs_test

import "fmt"

// fakeroot is a build in one fakeroot session: each command talks to faked through queues,
// under a semaphore, and ends.
func fakeroot(r *room) service {
	cmd := r.command(r.user, "fakeroot-sysv", "sh", "-c", `
		while read -r owner; do
			touch file && chown "$owner" file && stat -c %u:%g file
		done`)
	cmd.Dir = r.home()
	d := r.startDialogue(cmd)
	n := 0
	return service{
		request: func() error {
			n++
			owner := fmt.Sprintf("%d:%d", n, n+1)
			return d.ask(owner, owner)
		},
	}
}
