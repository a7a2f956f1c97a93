package integration_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// A completion is a command line up to the cursor, and what a shell must offer.
type completion struct {
	line string
	want []string // complete words, among those offered
	not  []string // words that must not be offered
}

func completions() []completion {
	return []completion{
		{"gipcs ", []string{"ls", "show", "graph", "report", "rm", "clean", "restore", "limits", "watch", "snapshot", "diff", "ns", "doctor", "mk", "link", "completion"}, []string{"--help", "shm:0"}},
		{"gipcs li", []string{"limits", "link"}, []string{"ls"}},
		{"gipcs rm", []string{"rm"}, []string{"shm:0"}},
		{"gipcs ls --so", []string{"--sort"}, []string{"--json"}},
		{"gipcs rm --dr", []string{"--dry-run"}, nil},
		{"gipcs rm ", []string{"shm:0", "sem:0", "msg:0", "pshm:/x", "psem:/x", "pmsg:/x"}, []string{"ls"}},
		{"gipcs rm s", []string{"shm:0", "sem:0"}, []string{"msg:0"}},
		{"gipcs rm shm:", []string{"shm:0"}, []string{"sem:0"}},
		{"gipcs rm sem:0 shm:0", []string{"shm:0"}, nil},
		{"gipcs rm  sem:0 shm:", []string{"shm:0"}, []string{"sem:0"}},
		{"gipcs rm --dry-run ", []string{"shm:0", "sem:0", "msg:0"}, []string{"--dry-run"}},
		{"gipcs rm --dry-run sem:", []string{"sem:0"}, nil},
		{"gipcs ls --format ", []string{"plain", "json", "html"}, []string{"--sort", "file", "shm:0"}},
		{"gipcs show --format=nd", []string{"--format=ndjson"}, []string{"--format=json"}},
		{"gipcs ls -o kind,ow", []string{"kind,owner"}, []string{"kind,kind"}},
		{"gipcs ls --sort -si", []string{"-size"}, []string{"--sort"}},
		{"gipcs ls --sort=owner,-si", []string{"--sort=owner,-size"}, nil},
		{"gipcs ls --sort size --for", []string{"--format"}, nil},
		{"gipcs diff --by=program,own", []string{"--by=program,owner"}, []string{"--by"}},
		{"gipcs watch --events made,re", []string{"made,removed"}, []string{"removed"}},
		{"gipcs graph --by o", []string{"owner"}, []string{"unit"}},
		{"gipcs report ", []string{"file"}, []string{"shm:0"}},
		{"gipcs watch --format ", []string{"plain", "ndjson"}, []string{"json"}},
		{"gipcs diff ", []string{"file"}, []string{"shm:0"}},
		{"gipcs snapshot -d ", []string{"file"}, []string{"shm:0"}},
		{"gipcs rm --log ", []string{"file"}, []string{"shm:0"}},
		{"gipcs clean --pol", []string{"--policy"}, nil},
		{"gipcs clean --policy ", []string{"file"}, []string{"shm:0"}},
		{"gipcs rm -m ", nil, []string{"shm:0"}},
		{"gipcs show ps", []string{"pshm:/x", "psem:/x"}, []string{"pmsg:/x"}},
		{"gipcs rm pmsg:/", []string{"pmsg:/x"}, []string{"pshm:/x"}},
		{"gipcs show msg:", []string{"msg:0"}, []string{"shm:0"}},
		{"gipcs completion ", []string{"bash", "zsh", "fish"}, nil},
		{"gipcs ls --", []string{"--sort", "--format"}, []string{"shm"}},
		{"gshm st", []string{"stat"}, []string{"set"}},
		{"gshm stat ", []string{"0", "/x"}, []string{"--format"}},
		{"gshm recv /", []string{"/x"}, []string{"0"}},
		{"gshm sub /", []string{"/x"}, []string{"0"}},
		{"gshm pub /x --fra", []string{"--framing"}, nil},
		// After -- the shell completes files itself: asking gshm might run the command
		// there.
		{"gshm attach 0 -- ./run ", []string{"file"}, []string{"shm:0"}},
	}
}

// Each shell completes $LINE with the key that inserts or prints all completions, and
// leaves the result in the file $RESULT. It never runs the line.
const (
	bashCompletes = `
source <(gipcs completion bash)
source <(gshm completion bash)
bind -x '"\C-t": printf "%s" "$READLINE_LINE" >"$RESULT"'
bind '"\C-xa": insert-completions'
`
	fishCompletes = `
gipcs completion fish | source
gshm completion fish | source
complete -C "$LINE" >$RESULT
`
	zshSetup = `
autoload -U compinit && compinit -u -d $DUMP # which the first shell writes, for all
source <(gipcs completion zsh)
source <(gshm completion zsh)
zstyle ":completion:all:*" completer _all_matches _complete
zstyle ":completion:all:*" insert true
zle -C all complete-word _generic
tell() { print -rn -- "$BUFFER" >$RESULT.new; mv $RESULT.new $RESULT }
zle -N tell
bindkey "^Xa" all
bindkey "^T" tell
: >$RESULT.ready
`
	// zsh completes only on a terminal; it can provide one itself.
	zshCompletes = `
zmodload zsh/zpty
zpty z 'zsh -f -i'
await() { while [[ ! -e $1 ]]; do zpty -r -t z echoed || sleep 0.01; done }
zpty -w z 'eval "$SETUP"'
await $RESULT.ready
zpty -w -n z "$LINE"$'\x18a\x14'
await $RESULT
zpty -d z
`
)

func TestCompletionInBash(t *testing.T) {
	testCompletion(t, "bash", func(ctx context.Context, line string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "bash", "--norc", "--noprofile", "-i")
		cmd.Stdin = strings.NewReader(bashCompletes + line + "\x18a\x14\x15\nexit\n")
		return cmd
	})
}

// TestCompletionInBashWithPackage loads the package bash-completion, as most systems
// do.
func TestCompletionInBashWithPackage(t *testing.T) {
	const functions = "/usr/share/bash-completion/bash_completion"
	if _, err := os.Stat(functions); err != nil {
		t.Skip("needs the package bash-completion")
	}
	testCompletion(t, "bash", func(ctx context.Context, line string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "bash", "--norc", "--noprofile", "-i")
		cmd.Stdin = strings.NewReader("source " + functions + bashCompletes + line + "\x18a\x14\x15\nexit\n")
		return cmd
	})
}

func TestCompletionInZsh(t *testing.T) {
	dump := filepath.Join(t.TempDir(), "dump")
	testCompletion(t, "zsh", func(ctx context.Context, _ string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "zsh", "-f", "-c", zshCompletes)
		cmd.Env = []string{"SETUP=" + zshSetup, "DUMP=" + dump}
		return cmd
	})
}

func TestCompletionInFish(t *testing.T) {
	testCompletion(t, "fish", func(ctx context.Context, _ string) *exec.Cmd {
		return exec.CommandContext(ctx, "fish", "--no-config", "-c", fishCompletes)
	})
}

// testCompletion asks a shell for the completions of each line.
func testCompletion(t *testing.T, shell string, start func(ctx context.Context, line string) *exec.Cmd) {
	if _, err := exec.LookPath(shell); err != nil {
		t.Skip("needs " + shell)
	}
	inNamespace(t)
	oneOfEach(t)
	path := "PATH=" + install(t, "gipcs", "gshm") + string(os.PathListSeparator) + os.Getenv("PATH")
	before := objects(t.Fatal)
	for _, test := range completions() {
		testLine(t, test, path, start)
	}
	if after := objects(t.Fatal); !slices.Equal(before, after) {
		t.Errorf("completing changed the objects from\n%q to\n%q", before, after)
	}
}

// testLine asks a shell for the completions of a line.
func testLine(t *testing.T, test completion, path string, start func(ctx context.Context, line string) *exec.Cmd) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "file"), "")
	writeFile(t, filepath.Join(dir, "run"), "#!/bin/sh\n: >was_run\n")
	result := filepath.Join(t.TempDir(), "result")
	cmd := start(ctx, test.line)
	cmd.Dir = dir
	cmd.Env = append(append(cmd.Env, os.Environ()...), path, "HOME="+dir, "TERM=dumb", "HISTFILE=", "GORACE=atexit_sleep_ms=0", "LINE="+test.line, "RESULT="+result)
	said, err := cmd.CombinedOutput()
	text, errRead := os.ReadFile(result)
	if errRead != nil {
		t.Fatalf("%s: %v, %v: %s", test.line, err, errRead, said)
	}
	got := strings.Fields(string(text))
	for _, want := range test.want {
		if !slices.Contains(got, want) {
			t.Errorf("%q becomes %q; it lacks %s", test.line, text, want)
		}
	}
	offered := strings.TrimPrefix(string(text), test.line)
	for _, unwanted := range test.not {
		if slices.Contains(strings.Fields(offered), unwanted) {
			t.Errorf("%q becomes %q, with %s", test.line, text, unwanted)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "was_run")); err == nil {
		t.Errorf("%q ran the command in it", test.line)
	}
}

// onePOSIXOfEach makes a POSIX shared-memory object, a semaphore and a queue called /x,
// which last until the test ends.
func onePOSIXOfEach(t *testing.T) {
	t.Helper()
	object, errObject := posix.CreateObject("/x", 4096, &posix.ObjectOptions{Mode: 0o644})
	semaphore, errSemaphore := posix.CreateSemaphore("/x", 1, &posix.SemaphoreOptions{Mode: 0o644})
	queue, errQueue := posix.CreateQueue("/x", &posix.QueueOptions{Mode: 0o644})
	if err := errors.Join(errObject, errSemaphore, errQueue); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(
			object.Close(), semaphore.Close(), queue.Close(),
			posix.UnlinkObject("/x"), posix.UnlinkSemaphore("/x"), posix.UnlinkQueue("/x"),
		); err != nil {
			t.Error(err)
		}
	})
}

// oneOfEach makes a segment, a set and a queue, which last until the test ends. As the
// first in their namespace they have identifier 0. It makes a POSIX object of each kind
// too.
func oneOfEach(t *testing.T) {
	t.Helper()
	segment, err := sysv.CreateSegment(0x4e545030, 4096, &sysv.SegmentOptions{Mode: 0o644})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = segment.Remove() })
	set, err := sysv.CreateSet(0x4d2, 2, &sysv.SetOptions{Mode: 0o644})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Remove() })
	queue, err := sysv.CreateQueue(0x4d3, &sysv.QueueOptions{Mode: 0o644})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = queue.Remove() })
	onePOSIXOfEach(t)
	if segment != 0 || set != 0 || queue != 0 {
		t.Fatalf("the first objects are shm:%d sem:%d msg:%d", segment, set, queue)
	}
}
