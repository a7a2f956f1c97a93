package programs_test

import (
	"fmt"
	"strings"
)

// apachePrefork is Apache with processes that take turns by a System V semaphore when
// they accept connections, and when they use the one program of a RewriteMap.
func apachePrefork(r *room) service {
	r.write("map.sh", "#!/bin/sh\nexec cat\n")
	return apache(r, "prefork", `
		Mutex sysvsem default
		StartServers 3
		MinSpareServers 1
		MaxSpareServers 3
		LoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so
		RewriteEngine on
		RewriteMap lines prg:`+r.path("map.sh")+`
		RewriteRule ^/through/(.*)$ /${lines:$1} [PT,L]
	`, "/through/index.html")
}

// apache starts Apache like apachectl: as root, with children of www-data.
func apache(r *room, mpm, conf, page string) service {
	r.write("index.html", "it works\n")
	pid := r.path("apache.pid")
	r.discard(pid)
	r.must("root", "apache2", "-f", r.write("apache.conf", fmt.Sprintf(`
		ServerRoot %[1]s
		ServerName localhost
		PidFile %[2]s
		DefaultRuntimeDir %[1]s
		DocumentRoot %[1]s
		ErrorLog %[1]s/log
		Listen 127.0.0.1:8080
		User www-data
		Group www-data
		LoadModule mpm_%[3]s_module /usr/lib/apache2/modules/mod_mpm_%[3]s.so
		LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
		%[4]s`, r.dir, pid, mpm, conf)), "-k", "start")
	return service{
		request: func() error {
			said, err := r.get("http://127.0.0.1:8080" + page)
			if err == nil && !strings.HasPrefix(said, "it works") {
				err = fmt.Errorf("it answered %q", said)
			}
			return err
		},
		recycle: func() { r.killChildren(r.pidIn(pid)) },
	}
}

// apacheBalancer is Apache with threads, whose balancer keeps the state of its members
// in POSIX objects.
func apacheBalancer(r *room) service {
	return apache(r, "event", `
		StartServers 2
		LoadModule slotmem_shm_module /usr/lib/apache2/modules/mod_slotmem_shm.so
		LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
		LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
		LoadModule proxy_balancer_module /usr/lib/apache2/modules/mod_proxy_balancer.so
		LoadModule lbmethod_byrequests_module /usr/lib/apache2/modules/mod_lbmethod_byrequests.so
		<Proxy balancer://members>
			BalancerMember http://127.0.0.1:8080
		</Proxy>
		ProxyPass /balanced/ balancer://members/
	`, "/balanced/index.html")
}
