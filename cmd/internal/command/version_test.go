package command

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestReadBuild(t *testing.T) {
	const (
		revision = "0123456789abcdef0123456789abcdef01234567"
		date     = "2026-01-02T15:04:05Z"
		pseudo   = "v0.0.0-20260102150405-0123456789ab"
	)
	clone := map[string]string{"vcs": "git", "vcs.revision": revision, "vcs.time": date, "vcs.modified": "false"}
	changed := map[string]string{"vcs": "git", "vcs.revision": revision, "vcs.time": date, "vcs.modified": "true"}
	tests := []struct {
		name     string
		main     string
		settings map[string]string
		want     build
	}{
		{"nothing known", "", nil, build{version: Version}},
		{"-buildvcs=false", "(devel)", nil, build{version: Version}},
		{"a clone, before Go 1.24", "(devel)", clone, build{Version + "+0123456789ab", revision, date, false}},
		{"a changed clone, before Go 1.24", "(devel)", changed, build{Version + "+0123456789ab-dirty", revision, date, true}},
		{"a clone without tags", pseudo, clone, build{Version + "+0123456789ab", revision, date, false}},
		{"a changed clone without tags", pseudo + "+dirty", changed, build{Version + "+0123456789ab-dirty", revision, date, true}},
		{"a clone after a release", "v0.1.1-0.20260102150405-0123456789ab", clone, build{Version + "+0123456789ab", revision, date, false}},
		{"a clone after a pre-release", "v0.2.0-rc.1.0.20260102150405-0123456789ab", clone, build{Version + "+0123456789ab", revision, date, false}},
		{"a clone at a release", "v0.1.0", clone, build{"0.1.0", revision, date, false}},
		{"a changed clone at a release", "v0.1.0+dirty", changed, build{"0.1.0-dirty", revision, date, true}},
		{"go install ...@v0.1.0", "v0.1.0", nil, build{version: "0.1.0"}},
		{"go install ...@v0.1.0-rc.1", "v0.1.0-rc.1", nil, build{version: "0.1.0-rc.1"}},
		{"go install ...@COMMIT", pseudo, nil, build{Version + "+0123456789ab", "0123456789ab", date, false}},
		{"no pseudo-version: the time", "v0.1.0-20261302150405-0123456789ab", nil, build{version: "0.1.0-20261302150405-0123456789ab"}},
		{"no pseudo-version: the revision", "v0.1.0-20260102150405-0123456789xy", nil, build{version: "0.1.0-20260102150405-0123456789xy"}},
		{"a short revision", "(devel)", map[string]string{"vcs.revision": "17"}, build{Version + "+17", "17", "", false}},
	}
	for _, test := range tests {
		info := &debug.BuildInfo{Main: debug.Module{Version: test.main}}
		for key, value := range test.settings {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: key, Value: value})
		}
		if got := readBuild(info); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

// TestPrintVersion: scripts read the first line; each of the other lines begins with a word.
func TestPrintVersion(t *testing.T) {
	var out bytes.Buffer
	if err := printVersion(&out, "prog"); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	starts := []string{"prog version " + Version, "revision ", "date ", "go " + runtime.Version() + " " + runtime.GOOS + "/"}
	if len(lines) != len(starts) {
		t.Fatalf("printed %q", lines)
	}
	for i, start := range starts {
		if !strings.HasPrefix(lines[i], start) {
			t.Errorf("line %q does not begin with %q", lines[i], start)
		}
	}
}
