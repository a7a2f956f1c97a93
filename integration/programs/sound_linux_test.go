package programs_test

import (
	"fmt"
	"strings"
)

// jack is JACK's server without a sound card. Besides POSIX objects it has a set, which
// its clients use too.
func jack(r *room) service {
	home := r.home()
	cmd := func(args ...string) (string, error) {
		c := r.command(r.user, args...)
		c.Env = append(c.Env, "HOME="+home)
		return r.runCommand(c)
	}
	server := r.command(r.user, "jackd", "-d", "dummy")
	server.Env = append(server.Env, "JACK_NO_AUDIO_RESERVATION=1", "HOME="+home)
	r.startCommand(server)
	return service{request: func() error {
		said, err := cmd("jack_lsp")
		if err == nil && !strings.Contains(said, "system:playback_1") {
			err = fmt.Errorf("it answered %q", said)
		}
		return err
	}}
}

// pulseAudio is PulseAudio without a sound card, with named memory.
func pulseAudio(r *room) service {
	home := r.home()
	r.write("daemon.conf", "enable-memfd = no\nexit-idle-time = -1\n")
	r.write("client.conf", "enable-memfd = no\nautospawn = no\n")
	env := []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + home, "PULSE_CONFIG_PATH=" + r.dir}
	server := r.command(r.user, "pulseaudio", "-n", "--use-pid-file=no", "--disallow-exit", "-F",
		r.write("pulse.pa", "load-module module-native-protocol-unix\nload-module module-null-sink\n"))
	server.Env = append(server.Env, env...)
	r.startCommand(server)
	return service{request: func() error {
		c := r.command(r.user, "pactl", "list", "short", "sinks")
		c.Env = append(c.Env, env...)
		said, err := r.runCommand(c)
		if err == nil && !strings.Contains(said, "module-null-sink") {
			err = fmt.Errorf("it answered %q", said)
		}
		return err
	}}
}
