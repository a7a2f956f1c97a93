package programs_test

import (
	"context"
	"fmt"
	"net"
	"slices"
)

// unbound is the resolver, which keeps its statistics in two segments.
func unbound(r *room) service {
	r.start("root", "unbound", "-d", "-p", "-c", r.write("unbound.conf", fmt.Sprintf(`
server:
	chroot: ""
	directory: %s
	username: unbound
	interface: 127.0.0.1
	port: 5353
	use-syslog: no
	shm-enable: yes
	shm-key: 11777
	statistics-interval: 1
	local-data: "here.room. A 10.0.0.1"
`, r.dir)))
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return r.dial("udp", "127.0.0.1:5353")
	}}
	return service{request: func() error {
		found, err := resolver.LookupHost(r.t.Context(), "here.room.")
		if err == nil && !slices.Equal(found, []string{"10.0.0.1"}) {
			err = fmt.Errorf("it answered %q", found)
		}
		return err
	}}
}
