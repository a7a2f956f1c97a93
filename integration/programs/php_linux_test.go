package programs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// page counts its calls in a segment under a lock. On the first call it leaves a job in
// a queue that nobody takes.
const page = `<?php
$key = ftok(__FILE__, 'a');
$lock = sem_get($key, 1, 0666, 1);
$data = shm_attach($key, 10000, 0666);
$jobs = msg_get_queue($key, 0666);
sem_acquire($lock);
$n = shm_has_var($data, 1) ? shm_get_var($data, 1) : 0;
shm_put_var($data, 1, $n + 1);
if (msg_stat_queue($jobs)['msg_qnum'] == 0) msg_send($jobs, 1, "a job", true, false);
sem_release($lock);
echo "request ", $n + 1, ", jobs waiting ", msg_stat_queue($jobs)['msg_qnum'], "\n";
`

// phpFPM is PHP-FPM with workers that start on demand and end when idle.
func phpFPM(r *room) service {
	script := r.write("page.php", page)
	socket := r.path("socket")
	r.discard(socket)
	found, err := filepath.Glob("/usr/sbin/php-fpm[0-9]*")
	r.check(err)
	conf := r.write("fpm.conf", fmt.Sprintf(`
[global]
error_log = %[1]s/log
[www]
user = www-data
group = www-data
listen = %[2]s
listen.owner = www-data
listen.group = www-data
pm = ondemand
pm.max_children = 3
pm.process_idle_timeout = 1s
`, r.dir, socket))
	master := r.start("root", found[0], "--nodaemonize", "--fpm-config", conf)
	r.until("the socket is there", func() bool { _, err := os.Stat(socket); return err == nil })
	last := -1 // unknown: a killed one may have left its count
	return service{
		request: func() error {
			cmd := r.command("www-data", "cgi-fcgi", "-bind", "-connect", socket)
			cmd.Env = append(cmd.Env, "SCRIPT_FILENAME="+script, "REQUEST_METHOD=GET")
			said, err := r.runCommand(cmd)
			if err != nil {
				return err
			}
			var n, jobs int
			_, body, _ := strings.Cut(said, "\r\n\r\n")
			if _, err := fmt.Sscanf(body, "request %d, jobs waiting %d", &n, &jobs); err != nil || last >= 0 && n != last+1 || jobs != 1 {
				return fmt.Errorf("after request %d it answered %q", last, said)
			}
			last = n
			return nil
		},
		rest: func() {
			r.until("the workers have ended", func() bool { return len(children(master.pid)) == 0 })
		},
	}
}
