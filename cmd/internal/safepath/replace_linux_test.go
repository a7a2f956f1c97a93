package safepath

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
)

func TestReplace(t *testing.T) {
	top := lay(t)
	before := strings.Join(ipctest.FilesIn(t, top), " ")
	defer unix.Umask(unix.Umask(0o077))
	write := func(w io.Writer) error {
		_, err := io.WriteString(w, "new\n")
		return err
	}
	for path, want := range map[string]string{
		"/dir/file": "", "/link/sub/new": "", "/two": "",
		"/filelink": "it is a symbolic link", "/dangling": "it is a symbolic link", "/fifo": "it is not a regular file", "/dir": "it is not a regular file",
		"/no/new": "no such file or directory", "/dir/..": "is a directory", "/dir/file/": "",
	} {
		err := Replace(top+path, 0o644, nil, write)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if err := Replace("/dev/null", 0o644, nil, write); err == nil {
		t.Fatal("a device was replaced")
	}
	for _, path := range []string{"/dir/file", "/dir/sub/new", "/two"} {
		text, err := os.ReadFile(top + path)
		info, errInfo := os.Stat(top + path)
		if check(t, errInfo); string(text) != "new\n" || err != nil || info.Mode() != 0o644 {
			t.Errorf("%s: %q with mode %v, %v", path, text, info.Mode(), err)
		}
	}
	if text, err := os.ReadFile(top + "/two too"); len(text) > 0 || err != nil {
		t.Errorf("the old file was written: %q, %v", text, err)
	}
	if after := strings.Join(ipctest.FilesIn(t, top), " "); after != before {
		t.Errorf("left are %s, want %s", after, before)
	}
}

// TestReplaceFails: after a failure the old file is there, and nothing else.
func TestReplaceFails(t *testing.T) {
	top := t.TempDir()
	path := filepath.Join(top, "file")
	check(t, os.WriteFile(path, []byte("old\n"), 0o600))
	no := errors.New("no")
	may := func(old *os.File) error {
		text := make([]byte, 4)
		if _, err := old.Read(text); err != nil || string(text) != "old\n" {
			t.Errorf("the old file: %q, %v", text, err)
		}
		return nil
	}
	for what, err := range map[string]error{
		"refused": Replace(path, 0o600, func(*os.File) error { return no }, func(io.Writer) error { t.Error("written"); return nil }),
		"failed": Replace(path, 0o600, may, func(w io.Writer) error {
			_, err := io.WriteString(w, strings.Repeat("half ", 10_000))
			return errors.Join(err, no)
		}),
	} {
		if !errors.Is(err, no) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if text, err := os.ReadFile(path); string(text) != "old\n" || err != nil || len(ipctest.FilesIn(t, top)) != 1 {
		t.Errorf("%q, %v, %v", text, err, ipctest.FilesIn(t, top))
	}
}

// TestReplaceNamed: where the file system has no files without a name, the file has a
// hidden name while it is written.
func TestReplaceNamed(t *testing.T) {
	top := t.TempDir()
	dir, err := OpenDir(top)
	check(t, err)
	defer dir.Close()
	const refused = unix.O_DIRECTORY
	no := errors.New("no")
	for _, want := range []error{no, nil} {
		err := replace(dir, "new", "new", refused, 0o600, func(w io.Writer) error {
			if list := ipctest.FilesIn(t, top); len(list) != 1 || !strings.HasPrefix(list[0], ".new.") {
				t.Errorf("files while writing: %v", list)
			}
			_, err := io.WriteString(w, "new\n")
			return errors.Join(err, want)
		})
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		if list := ipctest.FilesIn(t, top); want != nil && len(list) > 0 || want == nil && (len(list) != 1 || list[0] != "new") {
			t.Errorf("left are %v", list)
		}
	}
}

// TestReplaceOthers: in a directory with the sticky bit, another user's file stays.
func TestReplaceOthers(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	top := lay(t)
	check(t, os.Lchown(top+"/link", 65534, 65534))
	err := Replace(top+"/link/sub/new", 0o600, nil, func(io.Writer) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "uid 65534 made") {
		t.Errorf("through another user's link: %v", err)
	}
}
