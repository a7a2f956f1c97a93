package removal

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/removallog"
	"github.com/sysvipc/gipc/internal/ipctest"
)

// TestLogFull: an object that cannot be logged is kept.
func TestLogFull(t *testing.T) {
	ipctest.MountShm(t, os.Getpagesize())
	path := "/dev/shm/log"
	if err := os.WriteFile(path, bytes.Repeat([]byte("\n"), os.Getpagesize()), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := removallog.Open(path, removallog.Why{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	id := create(t, ref.Msg, 0o600)
	if err := now(selected(t, ref.Msg, id, 0), log.Removing); !errors.Is(err, removallog.ErrWrite) || !exists(ref.Msg, id) {
		t.Errorf("%v, exists: %v; want removallog.ErrWrite, and the object kept", err, exists(ref.Msg, id))
	}
}
