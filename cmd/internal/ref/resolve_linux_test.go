package ref_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) { ipctest.Main(m) }

func parse(t *testing.T, s string) ref.Ref {
	t.Helper()
	r, err := ref.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFtok parses paths that contain colons or end like a project.
func TestFtok(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plain", "a:b", "c:7", "d:x", ":", "e:"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		in, file string
		proj     byte
	}{
		{"plain", "plain", 1},
		{"plain:7", "plain", 7},
		{"plain:255", "plain", 255},
		{"plain:x", "plain", 'x'},
		{"a:b:7", "a:b", 7},
		{"c:7:1", "c:7", 1},
		{"d:x:x", "d:x", 'x'},
		{"::9", ":", 9},
		{"e::9", "e:", 9},
	}
	for _, test := range tests {
		want, err := sysv.Ftok(filepath.Join(dir, test.file), test.proj)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ref.Parse("ftok:" + filepath.Join(dir, test.in))
		if err != nil || got.Form != ref.ByKey || got.Key != want {
			t.Errorf("ftok:%s is %v, %v, want %v", test.in, got.Key, err, want)
		}
	}
	// c:7 without a project means file c with project 7, and there is no such file.
	for _, in := range []string{"c:7", "nosuch", "nosuch:7", "plain/below:7"} {
		var path *fs.PathError
		if r, err := ref.Parse("ftok:" + filepath.Join(dir, in)); !errors.As(err, &path) {
			t.Errorf("ftok:%s is %v, %v, want a file error", in, r.Key, err)
		}
	}
}

// TestResolve finds objects of every kind by identifier and by key.
func TestResolve(t *testing.T) {
	segment, err := sysv.CreateSegment(7, 1, nil)
	check(t, err)
	set, err := sysv.CreateSet(8, 1, nil)
	check(t, err)
	queue, err := sysv.CreateQueue(9, nil)
	check(t, err)
	if got, err := parse(t, "key:7").Segment(); got != segment || err != nil {
		t.Errorf("Segment = %v, %v, want %v", got, err, segment)
	}
	if got, err := parse(t, "0x8").Set(); got != set || err != nil {
		t.Errorf("Set = %v, %v, want %v", got, err, set)
	}
	if got, err := parse(t, "key:9").Queue(); got != queue || err != nil {
		t.Errorf("Queue = %v, %v, want %v", got, err, queue)
	}
	check(t, errors.Join(segment.Remove(), set.Remove(), queue.Remove()))

	if _, err := parse(t, "key:7").Segment(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed segment: %v", err)
	}
	if got, err := parse(t, "77777").Queue(); got != 77777 || err != nil {
		t.Errorf("Queue checks an identifier: %v, %v", got, err)
	}
	if _, err := parse(t, "/name").Set(); err == nil || !strings.Contains(err.Error(), "POSIX") {
		t.Errorf("Set by a name: %v", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
