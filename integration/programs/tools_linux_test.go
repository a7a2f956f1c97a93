package programs_test

import (
	"fmt"
	"strings"
)

// lttng is the daemon that manages tracing sessions.
func lttng(r *room) service {
	home := "HOME=" + r.home()
	server := r.command("root", "lttng-sessiond")
	server.Env = append(server.Env, home)
	r.startCommand(server)
	return service{request: func() error {
		c := r.command("root", "lttng", "--no-sessiond", "list")
		c.Env = append(c.Env, home)
		_, err := r.runCommand(c)
		return err
	}}
}

// openCryptoki is the daemon of a PKCS #11 library with a software token. Programs that
// use the token open its memory by name; the daemon itself does not.
func openCryptoki(r *room) service {
	r.overlay("/var/lib/opencryptoki")
	for _, dir := range []string{"lock", "lock/opencryptoki", "lock/opencryptoki/swtok", "lock/opencryptoki/tpm"} {
		r.runtimeDir(dir, "root")
	}
	r.must("root", "rm", "-f", "/run/pkcsslotd.pid", "/run/pkcsslotd.socket")
	r.must("root", "pkcsslotd")
	return service{request: func() error {
		said, err := r.run("root", "pkcsconf", "-t")
		if err == nil && !strings.Contains(said, "IBM SoftTok") {
			err = fmt.Errorf("it answered %q", said)
		}
		return err
	}}
}

// faketime is a shell at a fake time, which faketime shares with its children.
func faketime(r *room) service {
	d := r.startDialogue(r.command(r.user, "faketime", "2001-02-03 04:05:06", "sh", "-c", "while read -r line; do date +%Y; done"))
	return service{request: func() error { return d.ask("which year is it?", "2001") }}
}

// buffer is a pipe program: its two processes pass blocks through a segment.
func buffer(r *room) service {
	const block = 1024
	d := r.startDialogue(r.command(r.user, "buffer", "-s", "1024", "-b", "8", "-m", "64k"))
	line := strings.Repeat("x", block-1)
	return service{request: func() error { return d.ask(line, line) }}
}

// fio is fio with buffers in segments.
func fio(r *room) service {
	p := r.start(r.user, "fio", "--name=job", "--rw=randrw", "--ioengine=sync", "--mem=shm", "--size=1m", "--rate=1m",
		"--numjobs=2", "--time_based", "--runtime=1h", "--directory="+r.home())
	return service{request: p.alive}
}

// rtTests are two programs that measure the latency of wake-ups, with a System V set
// and with POSIX queues, in two processes each.
func rtTests(r *room) service {
	sets := r.start("root", "svsematest", "-q", "-f", "-t1", "-p80", "-i10000", "-D1h")
	queues := r.start("root", "pmqtest", "-q", "-f", "-t1", "-p80", "-i10000", "-D1h")
	return service{request: func() error {
		if err := sets.alive(); err != nil {
			return err
		}
		return queues.alive()
	}}
}

// stressNG makes, uses and removes objects of most kinds as fast as it can.
func stressNG(r *room) service {
	home := r.home()
	p := r.start(r.user, "stress-ng", "--temp-path", home, "--shm-sysv", "1", "--shm-sysv-segs", "4", "--shm-sysv-bytes", "1m",
		"--sem-sysv", "1", "--mq", "1", "--shm", "1", "--shm-bytes", "1m", "--sem", "1")
	return service{request: p.alive}
}
