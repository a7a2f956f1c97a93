package programs_test

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// postgreSQL is a server. shared and dynamic are the kinds of its own memory and of the
// memory for its parallel workers. Its data are where Debian keeps clusters.
func postgreSQL(shared, dynamic string) func(*room) service {
	return func(r *room) service {
		const home = "/var/lib/postgresql"
		found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
		r.check(err)
		bin := func(name string) string { return filepath.Join(found[len(found)-1], name) }
		data := home + "/programs/main" // not that of the machine's own server
		if _, err := r.run("postgres", "test", "-e", data); err != nil {
			c := credential(r.t, "postgres")
			r.check(r.inside(unix.CLONE_NEWNS, func() error {
				return unix.Mount("tmpfs", home, "tmpfs", 0, fmt.Sprintf("mode=755,uid=%d,gid=%d", c.Uid, c.Gid))
			}))
			r.must("postgres", bin("initdb"), "--no-sync", "-A", "trust", "-D", data)
		}
		postmaster := r.start("postgres", bin("postgres"), "-D", data, "-k", home, "-c", "listen_addresses=", "-c", "fsync=off",
			"-c", "shared_buffers=1MB", "-c", "shared_memory_type="+shared, "-c", "dynamic_shared_memory_type="+dynamic)
		request := func() error {
			const parallel = "set force_parallel_mode = on; select count(*) > 100 from pg_class"
			said, err := r.run("postgres", "psql", "-h", home, "-d", "postgres", "-qAtc", parallel)
			if err == nil && said != "t\n" {
				err = fmt.Errorf("it answered %q", said)
			}
			return err
		}
		return service{
			request: request,
			recycle: func() { // the server then remakes all its memory
				_ = unix.Kill(children(postmaster.pid)[0], unix.SIGKILL)
				r.serves(request)
			},
		}
	}
}
