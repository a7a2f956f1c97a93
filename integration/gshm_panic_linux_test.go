package integration_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestGshmNeverPanics runs random command lines. gshm must exit with 0, 1 or 2, print
// its own messages, and never show what Go prints for a bug.
func TestGshmNeverPanics(t *testing.T) {
	gshm := filepath.Join(install(t, "gshm"), "gshm")
	inNamespace(t)
	commands := []string{"create", "key", "attach", "stat", "set", "lock", "unlock", "rm", "write", "read", "send", "recv", "pub", "sub", "demo", "completion"}
	words := []string{
		"create", "writer", "reader", "help",
		"--size", "--size=1", "-s1", "--mode", "--mode=600", "-m", "--exclusive", "-x", "--huge", "--huge=2M", "--noreserve", "--populate", "--lock",
		"--read-only", "-r", "--at", "--at=4096", "--uid", "--gid=0", "--offset", "-o1", "--length=5", "-n", "--hex", "--format", "-fcsv", "--json",
		"--create", "-c", "--messages", "--senders=2", "--readers=1", "--framing=length", "--block", "--from-oldest", "--count=1", "--wait=0", "-w1ms", "--progress", "-q", "--key", "--sem-key=7", "--classic", "--pause=0s", "--help", "-h", "--version", "-V", "--generate-bash-completion", "--s", "--",
		"0", "1", "2", "-1", "0x1", "key:1", "key:0", "id:0", "ftok:/", "ftok:/:7", "private", "/name", "4096", "1EiB", "9223372036854775807",
		"18446744073709551616", "600", "", " ", "=", "-", "---", "--=", "-=", "true", "/dev/null", "/", "\x1b[31m", "\xff\xfe", "ｆ", "%s%n", "\n",
	}
	internals := regexp.MustCompile(`panic|goroutine|runtime error|\.go:\d|%!`)
	ownLines := regexp.MustCompile(`^(gshm: .*\n|\(.*\)\n)*$`)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	for range 300 {
		args := make([]string, random.IntN(7))
		for i := range args {
			args[i] = words[random.IntN(len(words))]
			if random.IntN(20) == 0 {
				args[i] += words[random.IntN(len(words))]
			}
		}
		if len(args) > 0 && random.IntN(10) > 0 {
			args[0] = commands[random.IntN(len(commands))]
		}
		// A command that waits, such as attach without a command, gets a signal to end it.
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		cmd := exec.CommandContext(ctx, gshm, args...)
		cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
		cmd.WaitDelay = patience
		cmd.Env = append(cmd.Environ(), "GORACE=atexit_sleep_ms=0")
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		cancel()
		var exit *exec.ExitError
		switch status := exitCode(cmd.ProcessState); {
		case err != nil && !errors.As(err, &exit) && !errors.Is(err, context.DeadlineExceeded):
			t.Fatalf("seed %d: gshm %q: %v", seed, args, err)
		case status > 2 && status != killed(unix.SIGTERM): // the signal may come before the handler is installed
			t.Errorf("seed %d: gshm %q: exit status %d", seed, args, status)
		case internals.Match(stdout.Bytes()) || internals.Match(stderr.Bytes()) || !ownLines.Match(stderr.Bytes()):
			t.Errorf("seed %d: gshm %q:\n%s%s", seed, args, &stdout, &stderr)
		}
	}
	removeAll(t)
}
