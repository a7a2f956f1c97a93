package safepath

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
)

// layTrusted makes files and directories that only root can write to, and some that
// others can.
func layTrusted(t *testing.T, other int) (top string) {
	t.Helper()
	top = t.TempDir()
	for _, dir := range []string{"safe", "sticky", "open", "group", "theirs", "sticky/safe", "open/safe", "theirs/safe"} {
		check(t, os.Mkdir(filepath.Join(top, dir), 0o755))
		check(t, os.WriteFile(filepath.Join(top, dir, "file"), []byte("text"), 0o644))
	}
	check(t, os.Chmod(top+"/sticky", 0o777|os.ModeSticky))
	check(t, os.Chmod(top+"/open", 0o777))
	check(t, os.Chmod(top+"/group", 0o775))
	check(t, os.Chown(top+"/group", 0, other))
	check(t, os.Chown(top+"/theirs", other, other))
	for name, mode := range map[string]os.FileMode{"world": 0o646, "group": 0o664, "foreign": 0o600, "secret": 0} {
		check(t, os.WriteFile(top+"/safe/"+name, []byte("text"), 0o600))
		check(t, os.Chmod(top+"/safe/"+name, mode))
	}
	check(t, os.Chown(top+"/safe/group", 0, other))
	check(t, os.Chown(top+"/safe/foreign", other, other))
	check(t, os.Symlink("file", top+"/safe/link"))
	check(t, os.Symlink("safe", top+"/way"))
	check(t, os.Symlink("safe", top+"/planted"))
	check(t, os.Lchown(top+"/planted", other, other))
	check(t, os.Symlink("open", top+"/into"))
	check(t, unix.Mkfifo(top+"/safe/fifo", 0o600))
	check(t, unix.Mknod(top+"/safe/null", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
	return top
}

func TestOpenTrusted(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	top := layTrusted(t, 65534)
	t.Chdir(top + "/safe")
	for path, want := range map[string]string{
		"/safe/file": "", "/way/file": "", "/safe/../safe/./file": "", "/sticky/safe/file": "", "/safe/secret": "",
		"/sticky/file":    "its directory: other users may write to it (mode 1777)",
		"/open/file":      "open: other users may write to it (mode 0777)",
		"/into/file":      "open: other users may write to it (mode 0777)",
		"/group/file":     "group: other users may write to it (mode 0775)",
		"/theirs/file":    "theirs: uid 65534 owns it",
		"/planted/file":   "planted is a symbolic link that uid 65534 made",
		"/open/safe/file": "open: other users", "/theirs/safe/file": "theirs: uid 65534 owns it",
		"/safe/world": "(mode 0646)", "/safe/group": "(mode 0664)", "/safe/foreign": "uid 65534 owns it",
		"/safe/link": "it is a symbolic link", "/safe/fifo": "not a regular file", "/safe/null": "not a regular file",
		"/safe": "not a regular file", "/safe/": "not a regular file", "/safe/..": "not a regular file", "/safe/no": "no such file",
	} {
		wantTrusted(t, top+path, want)
	}
	for path, want := range map[string]string{
		"file": "", "./file": "", "../way/file": "", "../open/file": "mode 0777", "link": "symbolic link",
		"": "does not exist", ".": "not a regular file", "/": "not a regular file",
	} {
		wantTrusted(t, path, want)
	}
}

// TestOpenTrustedHere: a relative path begins in a directory that is checked too.
func TestOpenTrustedHere(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	top := layTrusted(t, 65534)
	for dir, want := range map[string]string{
		"safe": "", "sticky/safe": "", "open": "mode 0777", "theirs": "uid 65534 owns it", "sticky": "its directory",
	} {
		t.Chdir(filepath.Join(top, dir))
		wantTrusted(t, "file", want)
	}
}

func wantTrusted(t *testing.T, path, want string) {
	t.Helper()
	file, err := OpenTrusted(path)
	if err == nil {
		defer file.Close()
		if text, errRead := io.ReadAll(file); errRead != nil || len(text) != 4 {
			t.Errorf("%s: read %q, %v", path, text, errRead)
		}
	}
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", path, err, want)
	}
}
