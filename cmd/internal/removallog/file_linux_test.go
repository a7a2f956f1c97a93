package removallog

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) { ipctest.Main(m) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	return string(text)
}

func openLog(t *testing.T, path string) *Log {
	t.Helper()
	log, err := Open(path, Why{Policy: "/p", Rule: "r"})
	check(t, err)
	t.Cleanup(func() { log.Close() })
	return log
}

// limitFiles lets no file of this process grow beyond a size.
func limitFiles(t *testing.T, size uint64) (unlimit func()) {
	t.Helper()
	signal.Ignore(unix.SIGXFSZ)
	var before unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &before))
	check(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: before.Max}))
	return func() {
		check(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &before))
		signal.Reset(unix.SIGXFSZ)
	}
}

// TestFullDisk: a line of which only a part can be written leaves nothing in the log, and
// the log can be continued. While another process has it open, the part stays.
func TestFullDisk(t *testing.T) {
	set := &inventory.Object{Kind: ref.Sem, Set: &sysv.SetInfo{ID: 3}}
	for _, shared := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "log")
		log := openLog(t, path)
		check(t, log.Removing(set))
		whole := read(t, path)
		if shared {
			openLog(t, path)
		}
		unlimit := limitFiles(t, uint64(len(whole))+20)
		err := log.Removing(set)
		unlimit()
		if !errors.Is(err, ErrWrite) || !errors.Is(err, unix.EFBIG) {
			t.Errorf("shared: %v: %v, want an error of the write", shared, err)
		}
		if left := strings.TrimPrefix(read(t, path), whole); (len(left) == 20) != shared || !shared && left != "" {
			t.Errorf("shared: %v: %q is left of a line", shared, left)
		}
		if shared {
			continue
		}
		check(t, log.Removing(set))
		if n := strings.Count(read(t, path), "}\n"); n != 2 {
			t.Errorf("%d lines, want 2: %s", n, read(t, path))
		}
	}
}

// TestResume: if the object still exists, the next process logs that it was not removed. If
// the object is gone or is another one, it logs nothing.
func TestResume(t *testing.T) {
	for _, tt := range []struct {
		what  string
		since func(t *testing.T, set sysv.Set)
		back  bool // the backup knows that it is the same object
		other bool // a process has the log open
		kept  bool
	}{
		{"still there", func(*testing.T, sysv.Set) {}, false, false, true},
		{"removed", func(t *testing.T, set sysv.Set) { check(t, set.Remove()) }, false, false, false},
		{"changed", touch, false, false, false},
		{"changed, but saved", touch, true, false, true},
		{"log in use", func(*testing.T, sysv.Set) {}, false, true, false},
	} {
		set, err := sysv.CreateSet(sysv.Private, 1, nil)
		check(t, err)
		name := ref.Object{Kind: ref.Sem, ID: int(set)}
		path := filepath.Join(t.TempDir(), "log")
		killed := openLog(t, path)
		o, err := inventory.Look(name)
		check(t, err)
		check(t, killed.Removing(&o))
		if !tt.other {
			check(t, killed.Close())
		}
		tt.since(t, set)
		var back []ref.Object
		if tt.back {
			back = append(back, name)
		}
		for again := range 2 {
			next := openLog(t, path)
			done, err := next.Resume(back)
			check(t, err)
			if want := tt.kept && again == 0; (done.Kept != nil) != want || want && *done.Kept != name || done.Dropped {
				t.Errorf("%s, time %d: %+v", tt.what, again+1, done)
			}
			check(t, next.Close())
		}
		if got := strings.Contains(read(t, path), `"event":"not removed","error":"gipcs was killed before it removed this"`); got != tt.kept {
			t.Errorf("%s: %s", tt.what, read(t, path))
		}
		_ = set.Remove() // unless it is gone
	}
}

// touch gives a set another ctime, as an interrupted removal does.
func touch(t *testing.T, set sysv.Set) {
	t.Helper()
	before, err := set.Stat()
	check(t, err)
	for now := before; now.CTime.Equal(before.CTime); { // whole seconds
		check(t, set.SetOwnership(before.Ownership()))
		now, err = set.Stat()
		check(t, err)
	}
}
