package safepath

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lay makes a tree of directories, links and files.
func lay(t *testing.T) string {
	t.Helper()
	top := t.TempDir()
	check(t, os.Mkdir(filepath.Join(top, "dir"), 0o700))
	check(t, os.Mkdir(filepath.Join(top, "dir/sub"), 0o700))
	check(t, os.Symlink("dir", filepath.Join(top, "link")))
	check(t, os.Symlink(top+"/link", filepath.Join(top, "dir/back")))
	check(t, os.Symlink("round", filepath.Join(top, "round")))
	check(t, os.WriteFile(filepath.Join(top, "dir/file"), []byte("text\n"), 0o600))
	check(t, os.Symlink("dir/file", filepath.Join(top, "filelink")))
	check(t, os.WriteFile(filepath.Join(top, "open"), nil, 0o600))
	check(t, os.Chmod(filepath.Join(top, "open"), 0o620))
	check(t, os.WriteFile(filepath.Join(top, "two"), nil, 0o600))
	check(t, os.Link(filepath.Join(top, "two"), filepath.Join(top, "two too")))
	check(t, unix.Mkfifo(filepath.Join(top, "fifo"), 0o600))
	check(t, os.Symlink("nowhere", filepath.Join(top, "dangling")))
	return top
}

func TestOpenDir(t *testing.T) {
	top := lay(t)
	t.Chdir(top)
	for path, want := range map[string]error{
		"dir": nil, "dir/": nil, "dir/.": nil, "./dir//": nil, "dir/..": nil, ".": nil, "/": nil, "dir/sub/..": nil,
		"link/sub": nil, "link/back/sub": nil, top + "/dir/back/back/sub/": nil, "dir/sub/../../link/sub": nil,
		"link": unix.ENOTDIR, "link/": unix.ENOTDIR, "link/.": unix.ENOTDIR, "link//./": unix.ENOTDIR, "dir/back": unix.ENOTDIR,
		"round/x": unix.ELOOP, "dir/file/x": unix.ENOTDIR, "dir/file": unix.ENOTDIR,
		"": fs.ErrNotExist, "no": fs.ErrNotExist, "no/dir": fs.ErrNotExist, "dangling/x": fs.ErrNotExist,
	} {
		dir, err := OpenDir(path)
		if err == nil {
			opened, errOpened := dir.Stat()
			check(t, errors.Join(errOpened, dir.Close()))
			if named, err := os.Stat(path); err != nil || !os.SameFile(opened, named) {
				t.Errorf("%q: another directory, %v", path, err)
			}
		}
		if !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", path, err, want)
		}
	}
}

func TestMkdir(t *testing.T) {
	top := lay(t)
	for path, want := range map[string]bool{"/new": true, "/link/new/": true, "/dir": false} {
		dir, made, err := Mkdir(top + path)
		check(t, err)
		info, err := dir.Stat()
		check(t, errors.Join(err, dir.Close()))
		if made != want || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: made %v with mode %v, want %v", path, made, info.Mode(), want)
		}
	}
	for _, path := range []string{"/dangling", "/dangling/", "/link/"} {
		if _, made, err := Mkdir(top + path); made || err == nil {
			t.Errorf("%s: made %v, %v, want an error", path, made, err)
		}
	}
	if _, err := os.Lstat(top + "/nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link was followed: %v", err)
	}
}

func TestOpenAppend(t *testing.T) {
	top := lay(t)
	for path, want := range map[string]string{
		"/dir/file": "", "/link/file": "", "/new": "",
		"/filelink": "symbolic link", "/dangling": "symbolic link", "/fifo": "not a regular file", "/dir": "is a directory",
		"/open": "other users may write", "/two": "2 names", "/no/log": "no such file", "/filelink/": "symbolic link",
	} {
		file, err := OpenAppend(top + path)
		if err == nil {
			_, errWrite := file.WriteString("more\n")
			check(t, errors.Join(errWrite, file.Close()))
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if text, err := os.ReadFile(top + "/dir/file"); string(text) != "text\nmore\nmore\n" {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Stat(top + "/new"); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestOthers uses links and files that another user has put in the path.
func TestOthers(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	top := lay(t)
	const other = 65534
	for _, name := range []string{"/link", "/dir/file"} {
		check(t, os.Lchown(top+name, other, other))
	}
	if _, err := OpenDir(top + "/link/sub"); err == nil || !strings.Contains(err.Error(), "uid 65534 made") {
		t.Errorf("through another user's link: %v", err)
	}
	if _, err := OpenAppend(top + "/link/new"); err == nil {
		t.Error("a file was made through another user's link")
	}
	if _, err := OpenAppend(top + "/dir/file"); err == nil || !strings.Contains(err.Error(), "belongs to uid 65534") {
		t.Errorf("another user's file: %v", err)
	}
	if text, err := os.ReadFile(top + "/dir/file"); string(text) != "text\n" {
		t.Errorf("%q, %v", text, err)
	}
}
