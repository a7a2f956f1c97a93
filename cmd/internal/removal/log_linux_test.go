package removal

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
)

// A line is what a line of the log must have.
type line struct {
	Time       time.Time
	Event      string
	Error      *string
	ByUID      int      `json:"by_uid"`
	BySudoUID  *int     `json:"by_sudo_uid"`
	SelectedBy []string `json:"selected_by"`
	Kind       string
	ID         int
	Verdict    string
	Reasons    []string
}

func TestLog(t *testing.T) {
	t.Setenv("SUDO_UID", "1000")
	path := filepath.Join(t.TempDir(), "log")
	log, err := OpenLog(path, []string{"orphan", `age > duration("1h")`})
	if err != nil {
		t.Fatal(err)
	}
	id := create(t, ref.Sem, 0o600)
	target := selected(t, ref.Sem, id, inventory.WantVerdict)
	failed := errors.New("it would not go")
	if err := errors.Join(log.Failed(target.Object, failed)); err != nil {
		t.Error(err)
	}
	if err := errors.Join(log.Removing(target.Object), log.Failed(target.Object, failed), log.Close()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines, want 2: %s", len(lines), text)
	}
	for i, event := range []string{"removing", "not removed"} {
		var got line
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatalf("%v: %s", err, lines[i])
		}
		switch {
		case got.Event != event, got.Kind != "sem", got.ID != id, got.ByUID != os.Getuid(),
			time.Since(got.Time) > time.Minute, got.BySudoUID == nil, *got.BySudoUID != 1000,
			strings.Join(got.SelectedBy, ", ") != `orphan, age > duration("1h")`,
			got.Verdict == "", len(got.Reasons) == 0,
			(got.Error != nil) != (i == 1), i == 1 && *got.Error != failed.Error():
			t.Errorf("line %d: %s", i+1, lines[i])
		}
	}
}

func TestLogFull(t *testing.T) {
	ipctest.MountShm(t, os.Getpagesize())
	path := "/dev/shm/log"
	if err := os.WriteFile(path, bytes.Repeat([]byte("\n"), os.Getpagesize()), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := OpenLog(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	id := create(t, ref.Msg, 0o600)
	if err := now(selected(t, ref.Msg, id, 0), log.Removing); !errors.Is(err, ErrLog) || !exists(ref.Msg, id) {
		t.Errorf("%v, exists: %v; want ErrLog, and the object kept", err, exists(ref.Msg, id))
	}
	if _, err := OpenLog(filepath.Join(t.TempDir(), "no", "log"), nil); !errors.Is(err, ErrLog) {
		t.Errorf("a log in no directory: %v", err)
	}
}
