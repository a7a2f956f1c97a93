package removal

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
)

// playOpen opens the shared memory, semaphore and queue of one name, as far as they
// exist.
func playOpen(args []string) error {
	o, errObject := posix.OpenObject(args[0], posix.ReadOnly)
	s, errSemaphore := posix.OpenSemaphore(args[0])
	q, errQueue := posix.OpenQueue(args[0], posix.ReadOnly)
	if errObject != nil && errSemaphore != nil && errQueue != nil {
		return errors.Join(errObject, errSemaphore, errQueue)
	}
	fmt.Println("open")
	ipctest.Told()
	_, _, _ = o, s, q
	return nil
}

func makeNamed(t *testing.T, kind ref.Kind, name string) {
	t.Helper()
	var err error
	switch kind {
	case ref.PShm:
		var o *posix.Object
		if o, err = posix.CreateObject(name, 4096, nil); err == nil {
			err = o.Close()
		}
	case ref.PSem:
		var s *posix.Semaphore
		if s, err = posix.CreateSemaphore(name, 1, nil); err == nil {
			err = s.Close()
		}
	default:
		var q *posix.Queue
		if q, err = posix.CreateQueue(name, nil); err == nil {
			err = q.Close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = (&Target{Kind: kind, Name: name}).destroy() }) // it may be gone
}

func thereIs(kind ref.Kind, name string) bool {
	_, err := inventory.Look(ref.Object{Kind: kind, Name: name})
	return err == nil
}

// chosen returns the target for an object that was selected as unused.
func chosen(t *testing.T, kind ref.Kind, name string) Target {
	t.Helper()
	const want = inventory.WantVerdict
	inv, err := inventory.Collect(inventory.Options{Kinds: []ref.Kind{kind}, Want: want, HiddenIdle: true})
	if err != nil {
		t.Fatal(err)
	}
	targets, _ := Select(inv, want, inv.Objects)
	for _, target := range targets {
		if target.Name == name {
			return target
		}
	}
	t.Fatalf("no %s among %v", name, targets)
	return Target{}
}

func findNamed(t *testing.T, find func(ref.Kind, ref.Ref) (Target, error), kind ref.Kind, name string) Target {
	t.Helper()
	_, r, err := ref.ParseKind(kind.String() + ":" + name)
	if err != nil {
		t.Fatal(err)
	}
	target, err := find(kind, r)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestRemovePOSIX(t *testing.T) {
	for _, kind := range ref.POSIX() {
		for how, choose := range map[string]func(name string) Target{
			"selected": func(name string) Target { return chosen(t, kind, name) },
			"found":    func(name string) Target { return findNamed(t, Find, kind, name) },
			"named":    func(name string) Target { return findNamed(t, Name, kind, name) },
		} {
			makeNamed(t, kind, "/a b\x1b")
			makeNamed(t, kind, "/other")
			target := choose("/a b\x1b")
			if err := now(target, nil); err != nil || thereIs(kind, "/a b\x1b") || !thereIs(kind, "/other") {
				t.Errorf("%s %v: %v; it is there: %v, another one: %v", how, kind, err, thereIs(kind, "/a b\x1b"), thereIs(kind, "/other"))
			}
			if err := (&Target{Kind: kind, Name: "/other"}).destroy(); err != nil {
				t.Error(err)
			}
			err := now(target, nil)
			var s *Skipped
			if want := "there is no " + kind.Noun() + " /a b\x1b"; how != "selected" && (err == nil || err.Error() != want) ||
				how == "selected" && (!errors.As(err, &s) || s.Why != isGone) {
				t.Errorf("%s removed %v: %v", how, kind, err)
			}
		}
	}
}

// TestPOSIXLeftAlone: something happens to an object between selection and removal.
func TestPOSIXLeftAlone(t *testing.T) {
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	again := func(kind ref.Kind) func() {
		return func() {
			check((&Target{Kind: kind, Name: "/x"}).destroy())
			makeNamed(t, kind, "/x")
		}
	}
	opened := func() { ipctest.Start(t, "open", nil, "/x").Line() }
	const another = " has its name now"
	for _, tt := range []struct {
		name  string
		kind  ref.Kind
		do    func()
		why   string // of a selected object
		found string // of a named object, or "" if it is removed anyway
	}{
		{"made anew", ref.PShm, again(ref.PShm), another, another},
		{"made anew", ref.PSem, again(ref.PSem), another, another},
		{"made anew", ref.PMsg, again(ref.PMsg), another, another},
		{"opened", ref.PShm, opened, "a process uses it now", ""},
		{"mapped", ref.PSem, opened, "a process uses it now", ""},
		{"opened", ref.PMsg, opened, "a process uses it now", ""},
		{"mode", ref.PShm, func() { check(os.Chmod("/dev/shm/x", 0o644)) }, wasChanged, ""},
		{"mode", ref.PSem, func() { check(os.Chmod("/dev/shm/sem.x", 0o644)) }, wasChanged, ""},
		{"mode", ref.PMsg, func() { check(os.Chmod("/dev/mqueue/x", 0o644)) }, wasChanged, ""},
		{"resized", ref.PShm, func() { check(os.Truncate("/dev/shm/x", 5)) }, wasUsed, ""},
		{"operated on", ref.PSem, func() {
			s, err := posix.OpenSemaphore("/x")
			check(err)
			check(errors.Join(s.Release(1), s.Close()))
		}, wasUsed, ""},
		{"sent to", ref.PMsg, func() {
			q, err := posix.OpenQueue("/x", posix.WriteOnly)
			check(err)
			check(errors.Join(q.Send(t.Context(), []byte("x"), 0), q.Close()))
		}, "1 message is unread", ""},
	} {
		t.Run(fmt.Sprint(tt.kind, " ", tt.name), func(t *testing.T) {
			makeNamed(t, tt.kind, "/x")
			bySelection, byName := chosen(t, tt.kind, "/x"), findNamed(t, Find, tt.kind, "/x")
			tt.do()
			var s *Skipped
			if err := now(bySelection, nil); !errors.As(err, &s) || !strings.Contains(s.Why, tt.why) || !thereIs(tt.kind, "/x") {
				t.Errorf("selected: %v; it is there: %v", err, thereIs(tt.kind, "/x"))
			}
			err := now(byName, nil)
			if tt.found == "" && (err != nil || thereIs(tt.kind, "/x")) || tt.found != "" && (err == nil || !strings.Contains(err.Error(), tt.found)) {
				t.Errorf("named: %v; it is there: %v", err, thereIs(tt.kind, "/x"))
			}
		})
	}
}

// TestPOSIXMoreUsers: an object that was in use when it was selected is left alone if
// another process uses it now, and removed if none does.
func TestPOSIXMoreUsers(t *testing.T) {
	for _, kind := range ref.POSIX() {
		makeNamed(t, kind, "/x")
		first := ipctest.Start(t, "open", nil, "/x")
		first.Line()
		target := chosen(t, kind, "/x")
		second := ipctest.Start(t, "open", nil, "/x")
		second.Line()
		var s *Skipped
		if err := now(target, nil); !errors.As(err, &s) || s.Why != "a process uses it now" {
			t.Errorf("%v: %v", kind, err)
		}
		second.Kill()
		if err := now(target, nil); err != nil {
			t.Errorf("%v: %v", kind, err)
		}
		first.Kill()
	}
}

// playRemoveIdle removes what it sees as unused, and prints the results.
func playRemoveIdle([]string) error {
	const want = inventory.WantVerdict
	inv, err := inventory.Collect(inventory.Options{Kinds: ref.POSIX(), Want: want, HiddenIdle: true})
	if err != nil {
		return err
	}
	targets, _ := Select(inv, want, inv.Objects)
	for i := range targets {
		fmt.Println(targets[i].Object.Use.Verdict, now(targets[i], nil))
	}
	return nil
}

// TestPOSIXUsedUnseen: the kernel reports a use by a process that an ordinary user
// cannot inspect.
func TestPOSIXUsedUnseen(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be an ordinary user")
	}
	want := ""
	for kind, file := range map[ref.Kind]string{ref.PShm: "/dev/shm/x", ref.PSem: "/dev/shm/sem.x", ref.PMsg: "/dev/mqueue/x"} {
		makeNamed(t, kind, "/x")
		if err := os.Chown(file, int(nobody.Uid), int(nobody.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	user := ipctest.Start(t, "open", nil, "/x")
	user.Line()
	for _, kind := range ref.POSIX() {
		want += fmt.Sprintf("in use %v:/x was left alone: a process uses it now\n", kind)
	}
	if got := ipctest.Start(t, "remove idle", nobody).Wait(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	user.Kill()
	if got, want := ipctest.Start(t, "remove idle", nobody).Wait(), strings.Repeat("orphan <nil>\n", 3); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestPOSIXForeign checks which user may remove whose objects.
func TestPOSIXForeign(t *testing.T) {
	for _, kind := range ref.POSIX() {
		makeNamed(t, kind, "/roots")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be an ordinary user")
	}
	want := "0 3\n"
	for _, kind := range ref.POSIX() {
		want += fmt.Sprintf("permission denied: %v:/roots belongs to uid 0, you are uid %d true\n", kind, nobody.Uid)
	}
	if got := ipctest.Start(t, "remove", nobody).Wait(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
