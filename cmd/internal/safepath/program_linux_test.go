package safepath

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
)

func TestCheckProgram(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	const other = 65534
	top := t.TempDir()
	for _, dir := range []string{"safe", "sticky", "open", "group", "theirs", "open/safe"} {
		check(t, os.Mkdir(filepath.Join(top, dir), 0o755))
		check(t, os.WriteFile(filepath.Join(top, dir, "run"), nil, 0o755))
	}
	check(t, os.Chmod(top+"/sticky", 0o777|os.ModeSticky))
	check(t, os.Chmod(top+"/open", 0o777))
	check(t, os.Chmod(top+"/group", 0o775))
	check(t, os.Chown(top+"/group", 0, other))
	check(t, os.Chown(top+"/theirs", other, other))
	check(t, os.WriteFile(top+"/safe/writable", nil, 0o755))
	check(t, os.Chmod(top+"/safe/writable", 0o757))
	check(t, os.WriteFile(top+"/safe/foreign", nil, 0o755))
	check(t, os.Chown(top+"/safe/foreign", other, other))
	check(t, os.Symlink("../open/run", top+"/safe/outward"))
	check(t, os.Symlink("run", top+"/safe/alias"))
	check(t, os.Symlink("run", top+"/safe/planted"))
	check(t, os.Lchown(top+"/safe/planted", other, other))
	check(t, os.Symlink("loop", top+"/safe/loop"))
	check(t, os.Symlink("open", top+"/into"))
	for path, want := range map[string]string{
		"/safe/run": "", "/safe/alias": "", "/sticky/run": "", "/safe/../safe/run": "",
		"/open/run": "open: other users may write to it (mode 0777)", "/open/safe/run": "open: other users may write",
		"/into/run": "open: other users may write", "/group/run": "mode 0775", "/theirs/run": "uid 65534 owns it",
		"/safe/writable": "mode 0757", "/safe/foreign": "uid 65534 owns it", "/safe/outward": "open: other users may write",
		"/safe/planted": "planted is a link: uid 65534 owns it", "/safe/loop": "too many levels", "/safe": "not a regular file", "/safe/no": "no such file",
	} {
		if err := CheckProgram(top + path); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
