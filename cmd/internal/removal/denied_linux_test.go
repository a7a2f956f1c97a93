package removal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// TestDenied: an ordinary user cannot remove root's objects.
func TestDenied(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be an ordinary user")
	}
	for _, kind := range kinds {
		id := create(t, kind, 0o600)
		for name, target := range map[string]Target{
			"found": found(t, Find, kind, id),
			"named": found(t, Name, kind, id),
		} {
			// The user nobody formats the message too, since it names the caller.
			err := asNobody(func() error { return fmt.Errorf("nobody: %w", now(target, nil)) })
			if errors.Is(err, unix.EINVAL) {
				t.Skip("the user namespace knows one user only")
			}
			if !errors.Is(err, fs.ErrPermission) || !exists(kind, id) {
				t.Errorf("%v, %s: %v, exists: %v; want permission denied", kind, name, err, exists(kind, id))
			}
			want := fmt.Sprintf("nobody: permission denied: %v belongs to uid 0, you are uid %d", target, nobody.Uid)
			if name == "found" && err.Error() != want {
				t.Errorf("%q, want %q", err, want)
			}
		}
	}
	gone := Target{Kind: ref.PShm, Name: "/removal-denied-nosuch"}
	if err := gone.denied(fs.ErrPermission); err != fs.ErrPermission {
		t.Errorf("denied of a removed object = %v", err)
	}
}

// asNobody calls f as an ordinary user, on a thread that ends afterwards.
func asNobody(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		id := uintptr(nobody.Uid)
		if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, id, id, id); e != 0 {
			done <- e
			return
		}
		done <- f()
	}()
	return <-done
}
