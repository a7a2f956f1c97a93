package snapshot

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/internal/ipctest"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// save adds a snapshot with a header of its own to a directory, and returns its name.
func save(t *testing.T, path string, edit func(*Header)) string {
	t.Helper()
	h := header()
	h.Host = "web/1"
	edit(h)
	d, err := MakeDirectory(path, h)
	check(t, err)
	defer d.Close()
	name, err := d.Save(func(w io.Writer) error { return WriteCompressed(w, h, &inventory.Inventory{}, account.New()) })
	check(t, err)
	return filepath.Base(name)
}

// at returns a header that was written some time after the first one.
func at(d time.Duration) func(*Header) { return later(d) }

// otherBoot returns a header of an earlier boot, with another time by the clock.
func otherBoot(d time.Duration) func(*Header) {
	return func(h *Header) { h.BootID, h.Taken = "boot 0", h.Taken.Add(d) }
}

// openAs opens a directory as the writer of a header.
func openAs(t *testing.T, path string, edit func(*Header)) *Directory {
	t.Helper()
	h := header()
	h.Host = "web/1"
	edit(h)
	d, err := OpenDirectory(path, h)
	check(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

func TestFind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new")
	first := save(t, path, at(0))
	if want := "gipcs-web_1-4026531839-20260131T150000.000000Z.ndjson.gz"; first != want {
		t.Errorf("name %s, want %s", first, want)
	}
	second := save(t, path, at(time.Hour))
	earlier := save(t, path, otherBoot(-3*time.Hour))
	save(t, path, func(h *Header) { h.Host, h.Taken = "web2", h.Taken.Add(time.Minute) })
	save(t, path, func(h *Header) { h.Namespace, h.Taken = 5, h.Taken.Add(time.Minute) })
	for name, content := range map[string]string{"gipcs-web_1-x.ndjson.gz": "foreign", "gipcs-web_1-y.ndjson.gz": ""} {
		check(t, os.WriteFile(filepath.Join(path, name), []byte(content), 0o600))
	}
	check(t, os.Symlink(first, filepath.Join(path, "gipcs-web_1-z.ndjson.gz")))
	check(t, os.Mkdir(filepath.Join(path, "gipcs-web_1-d.ndjson.gz"), 0o700))

	// The clock was set forward by ten hours; the boot clock knows better.
	d := openAs(t, path, func(h *Header) { at(2 * time.Hour)(h); h.Taken = h.Taken.Add(10 * time.Hour) })
	for _, tt := range []struct{ moment, want string }{
		{"0s", second},
		{"1h", second},
		{"90m", first},
		{"2h", first},
		{"13h", earlier},
		{"2026-01-31T15:30:00Z", first},
		{"2026-01-31T17:30:00+01:00", second},
		{"2026-01-31T13:00:00Z", earlier},
		{"16h", "no snapshot in " + path + " is as old as 16h; the oldest is 2026-01-31T12:00:00Z"},
		{"2026-01-31T11:00:00Z", "no snapshot in " + path + " is as old as 2026-01-31T11:00:00Z; the oldest is 2026-01-31T12:00:00Z"},
	} {
		m, err := ParseMoment(tt.moment)
		check(t, err)
		var got string
		file, err := d.Find(m)
		if err != nil {
			got = err.Error()
		} else {
			got = filepath.Base(file.Name())
			check(t, file.Close())
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.moment, got, tt.want)
		}
	}
	for _, text := range []string{"", "now", "2026-01-31", "-1h", "yesterday"} {
		if _, err := ParseMoment(text); err == nil || !strings.Contains(err.Error(), "is neither a time nor a duration") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := openAs(t, path, func(h *Header) { h.Host = "web3" }).Find(Moment{}); err == nil || err.Error() != "there is no snapshot of this host and IPC namespace in "+path {
		t.Error(err)
	}
}

func TestPrune(t *testing.T) {
	path := t.TempDir()
	names := make([]string, 5)
	for i := range names {
		names[i] = save(t, path, at(time.Duration(i)*time.Hour))
	}
	// A snapshot of the boot before, taken while the clock was wrong.
	future := save(t, path, otherBoot(1000*time.Hour))
	others := []string{save(t, path, func(h *Header) { h.Host = "web2" }), save(t, path, func(h *Header) { h.Namespace = 5 }), "gipcs-mine.ndjson.gz", "notes"}
	check(t, os.WriteFile(filepath.Join(path, others[2]), []byte("mine\n"), 0o600))
	check(t, os.WriteFile(filepath.Join(path, others[3]), nil, 0o600))

	here := at(4 * time.Hour) // the last one
	want := func(what string, mine ...string) {
		t.Helper()
		mine = append(mine, others...)
		slices.Sort(mine)
		if got := ipctest.FilesIn(t, path); !slices.Equal(got, mine) {
			t.Errorf("%s: left are\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(mine, "\n"))
		}
	}
	check(t, openAs(t, path, here).Prune(3*time.Hour, 0))
	want("older than 3 hours", append([]string{future}, names[1:]...)...)
	check(t, openAs(t, path, here).Prune(0, 4))
	want("more than 4", names[1:]...)
	// The clock was set forward by a year.
	check(t, openAs(t, path, func(h *Header) { here(h); h.Taken = h.Taken.AddDate(1, 0, 0) }).Prune(3*time.Hour, 0))
	want("after the clock was set", names[1:]...)
	check(t, openAs(t, path, here).Prune(0, 1))
	want("more than 1", names[4])
	check(t, openAs(t, path, here).Prune(1, 1))
	want("only its own", names[4])
}

// TestPruneOthers: another user's snapshots are neither removed nor read.
func TestPruneOthers(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	path := t.TempDir()
	name := save(t, path, at(0))
	check(t, os.Chown(filepath.Join(path, name), 65534, 65534))
	d := openAs(t, path, at(time.Hour))
	check(t, d.Prune(time.Minute, 1))
	if got := ipctest.FilesIn(t, path); len(got) != 1 {
		t.Errorf("left are %v", got)
	}
	if _, err := d.Find(Moment{}); err == nil {
		t.Error("another user's snapshot was used")
	}
}

func TestNotADirectory(t *testing.T) {
	path := t.TempDir()
	check(t, os.Symlink(".", path+"/link"))
	check(t, os.WriteFile(path+"/file", nil, 0o600))
	for _, name := range []string{"/link", "/file"} {
		for _, open := range []func(string, *Header) (*Directory, error){OpenDirectory, MakeDirectory} {
			if _, err := open(path+name, header()); err == nil || err.Error() != path+name+" is not a directory, or is a symbolic link" {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestHere: the header of this process is complete.
func TestHere(t *testing.T) {
	h, err := Here()
	check(t, err)
	if h.BootID == "" || h.Namespace == 0 || h.PIDNamespace == 0 || h.UserNamespace == 0 || h.Uptime <= 0 || h.Host == "" {
		t.Errorf("%+v", h)
	}
}
