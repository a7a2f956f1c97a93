package programs_test

import (
	"fmt"
	"os"
	"strings"
)

// squid is Squid with two workers and a disk process, which share a cache through POSIX
// objects.
func squid(r *room) service {
	r.runtimeDir("squid", "proxy")
	pid, cache := r.path("squid.pid"), r.path("cache")
	r.discard(pid)
	conf := r.write("squid.conf", fmt.Sprintf(`
workers 2
http_port 127.0.0.1:3128
http_access allow all
cache_mem 8 MB
cache_dir rock %s 20
cache_log %s
access_log none
pinger_enable off
pid_filename %s
coredump_dir %s
visible_hostname room
`, cache, r.owned("log-of-squid", "proxy")+"/cache.log", pid, r.dir))
	if _, err := os.Stat(cache); err != nil {
		r.owned("cache", "proxy")
		r.must("root", "squid", "--foreground", "-N", "-z", "-f", conf)
		r.discard(pid)
	}
	r.start("root", "squid", "--foreground", "-sYC", "-f", conf)
	request := func() error {
		said, err := r.get("http://127.0.0.1:3128/squid-internal-mgr/info")
		if err == nil && !strings.Contains(said, "Squid Object Cache") {
			err = fmt.Errorf("it answered %q", said)
		}
		return err
	}
	return service{
		request: request,
		recycle: func() {
			r.killChildren(r.pidIn(pid))
			r.serves(request)
		},
	}
}

// cICAP is the ICAP server as Debian configures it.
func cICAP(r *room) service {
	r.overlay("/var/log/c-icap")
	dir := r.runtimeDir("c-icap", "c-icap")
	r.must("root", "rm", "-f", dir+"/c-icap.pid", dir+"/c-icap.ctl")
	server := r.start("root", "c-icap", "-N")
	request := func() error {
		said, err := r.run("root", "sh", "-c", "exec c-icap-client -i 127.0.0.1 -s echo 2>&1")
		if err == nil && !strings.Contains(said, "ICAP/1.0 200 OK") {
			err = fmt.Errorf("it answered %q", said)
		}
		return err
	}
	return service{
		request: request,
		recycle: func() {
			r.killChildren(server.pid)
			r.serves(request)
		},
	}
}
