package examples_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
)

// testLanguages runs the programs in languages, which are in Go, C and Python.
func testLanguages(t *testing.T, bin programs) {
	for _, tool := range []string{"gcc", "make", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("SKIPPED: no", tool)
		}
	}
	lib := t.TempDir()
	if out, err := exec.Command("make", "-s", "-C", "..", "lib", "CC=gcc", "LIBOUT="+lib).CombinedOutput(); err != nil {
		t.Fatalf("make lib: %v\n%s", err, out)
	}
	env := append(os.Environ(), "LD_LIBRARY_PATH="+lib, "PYTHONPATH=../python", "PYTHONDONTWRITEBYTECODE=1")
	start := func(program string, args ...string) (*exec.Cmd, *bufio.Scanner) {
		return startReading(t, env, program, args...)
	}
	testViewers(t, bin, start)
	testConfig(t, start)
	wantNothingLeft(t)
}

// startReading starts a program and returns a scanner of its output.
func startReading(t *testing.T, env []string, program string, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stderr = env, os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, bufio.NewScanner(out)
}

// A starter starts a program and returns a scanner of its output.
type starter func(program string, args ...string) (*exec.Cmd, *bufio.Scanner)

func testViewers(t *testing.T, bin programs, start starter) {
	t.Helper()
	frames := ipctest.Compile(t, "languages/frames.c", "-I../include")
	viewers := map[string][]string{"C": {frames}, "Go": {bin.path("viewer")}, "Python": {"python3", "languages/frames.py", "view"}}
	waits := map[string]func(){}
	for name, words := range viewers {
		cmd, out := start(words[0], words[1:]...)
		if !out.Scan() || out.Text() != "ready" {
			t.Fatalf("%s: %q, want ready", name, out.Text())
		}
		waits[name] = func() {
			var lines []string
			for out.Scan() {
				lines = append(lines, out.Text())
			}
			last := fmt.Sprintf("%s: a frame of 10002 bytes, the last is 2", name)
			if err := cmd.Wait(); err != nil || len(lines) == 0 || lines[len(lines)-1] != last {
				t.Errorf("%s: %q, %v, want %q", name, lines, err, last)
			}
		}
	}
	camera, _ := start("python3", "languages/frames.py", "send")
	for _, wait := range waits {
		wait()
	}
	if err := camera.Wait(); err != nil {
		t.Error(err)
	}
}

func testConfig(t *testing.T, start starter) {
	t.Helper()
	set := func(words ...string) {
		cmd, _ := start("python3", append([]string{"languages/config.py"}, words...)...)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	set("0.5", "100")
	cmd, out := start(ipctest.Compile(t, "languages/config.c", "-I../include"))
	for _, limit := range []string{"100", "200", "0"} {
		if limit != "100" {
			set("0.5", limit)
		}
		if want := "rate 0.5, limit " + limit; !out.Scan() || strings.TrimSpace(out.Text()) != want {
			t.Fatalf("config.c: %q, want %q", out.Text(), want)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
