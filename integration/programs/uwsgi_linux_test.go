package programs_test

import "fmt"

// application takes a lock in each request.
const application = `
import uwsgi

def application(env, start):
    uwsgi.lock()
    start("200 OK", [])
    uwsgi.unlock()
    return [b"it works"]
`

// uWSGI is uWSGI with workers that take turns through System V semaphores.
func uWSGI(r *room) service {
	pid := r.path("uwsgi.pid")
	r.discard(pid)
	r.start("root", "uwsgi", "--ini", r.write("uwsgi.ini", fmt.Sprintf(`
[uwsgi]
plugins = python3
master = true
processes = 2
lock-engine = ipcsem
http-socket = 127.0.0.1:8081
uid = www-data
gid = www-data
pidfile = %s
wsgi-file = %s
`, pid, r.write("application.py", application))))
	request := func() error {
		said, err := r.get("http://127.0.0.1:8081/")
		if err == nil && said != "it works" {
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
