package removallog

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// A logged holds the required fields of a log line.
type logged struct {
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
	log, err := Open(path, Why{Conditions: []string{"orphan", `age > duration("1h")`}})
	if err != nil {
		t.Fatal(err)
	}
	set := &inventory.Object{Kind: ref.Sem, Set: &sysv.SetInfo{ID: 65538}, Use: &inventory.Use{
		Verdict: inventory.Orphan, Reasons: []inventory.Reason{{Code: inventory.NeverUsed, Text: "nobody has used it"}},
	}}
	failed := errors.New("it would not go")
	if err := errors.Join(log.Failed(set, failed)); err != nil {
		t.Error(err)
	}
	if err := errors.Join(log.Removing(set), log.Failed(set, failed), log.Close()); err != nil {
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
		var got logged
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatalf("%v: %s", err, lines[i])
		}
		switch {
		case got.Event != event, got.Kind != "sem", got.ID != 65538, got.ByUID != os.Getuid(),
			time.Since(got.Time) > time.Minute, got.BySudoUID == nil, *got.BySudoUID != 1000,
			strings.Join(got.SelectedBy, ", ") != `orphan, age > duration("1h")`,
			got.Verdict == "", len(got.Reasons) == 0,
			(got.Error != nil) != (i == 1), i == 1 && *got.Error != failed.Error():
			t.Errorf("line %d: %s", i+1, lines[i])
		}
	}
}

func TestNoDirectory(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "no", "log"), Why{}); !errors.Is(err, ErrWrite) {
		t.Errorf("a log in no directory: %v", err)
	}
}

// TestHalfALine continues files that end in an incomplete line. An incomplete line of a log
// is taken out; any other text is completed, once.
func TestHalfALine(t *testing.T) {
	for text, want := range map[string]string{
		"{\"time\":":                      "",
		"{\"time\":\"20":                  "",
		"{\"time\":\"1\"}\n{\"time\":\"2": "{\"time\":\"1\"}\n",
		"dear diary":                      "dear diary\n",
		"dear diary\n{":                   "dear diary\n",
		"":                                "",
	} {
		path := filepath.Join(t.TempDir(), "log")
		check(t, os.WriteFile(path, []byte(text), 0o600))
		for range 2 {
			check(t, openLog(t, path).Close())
		}
		if got := read(t, path); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
