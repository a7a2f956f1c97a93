package shm_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/shm"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) { ipctest.MainPOSIX(m) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func parse(t *testing.T, s string) shm.Ref {
	t.Helper()
	r, err := shm.Parse(s)
	check(t, err)
	return r
}

func create(t *testing.T, r shm.Ref, o shm.CreateOptions) shm.Object {
	t.Helper()
	object, made, err := r.Create(t.Context(), o)
	check(t, err)
	if !made {
		t.Fatalf("%v was there", object)
	}
	t.Cleanup(func() { _ = object.Remove() })
	return object
}

func attach(t *testing.T, o shm.Object) shm.Mapping {
	t.Helper()
	mem, err := o.Attach(shm.AttachOptions{})
	check(t, err)
	t.Cleanup(func() {
		if err := mem.Detach(); err != nil {
			t.Error(err)
		}
	})
	return mem
}

// refs returns one Ref of each kind.
func refs(t *testing.T) map[string]shm.Ref {
	return map[string]shm.Ref{"segment": parse(t, "key:7"), "POSIX object": parse(t, "/object")}
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		text string
		kind ref.Kind
		isID bool
	}{
		{"7", ref.Shm, true},
		{"id:7", ref.Shm, true},
		{"shm:7", ref.Shm, true},
		{"shm:key:7", ref.Shm, false},
		{"0x7", ref.Shm, false},
		{"/a", ref.PShm, false},
		{"pshm:/a", ref.PShm, false},
	} {
		r := parse(t, test.text)
		if _, isID := r.ID(); r.Kind() != test.kind || isID != test.isID {
			t.Errorf("Parse(%q) is of the kind %v, an identifier: %t", test.text, r.Kind(), isID)
		}
	}
	for text, want := range map[string]string{
		"":        `; a POSIX object is /NAME`,
		"key:0":   `key 0 (IPC_PRIVATE) names no object`,
		"/a/b":    `"/a/b" is not a POSIX name: it must have one slash, at the beginning`,
		"pshm:a":  `"a" is not the name of a POSIX shared-memory object; write pshm:/NAME`,
		"shm:/a":  `"shm:/a" is the name of a POSIX object, and a segment has none; write /a`,
		"sem:0x7": `; a POSIX object is /NAME`,
	} {
		if _, err := shm.Parse(text); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("Parse(%q): %v, want %s", text, err, want)
		}
	}
}

// TestObjects takes both kinds of objects through the same steps.
func TestObjects(t *testing.T) {
	for name, r := range refs(t) {
		t.Run(name, func(t *testing.T) {
			if _, err := r.Find(); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Find of nothing: %v", err)
			}
			o := shm.CreateOptions{Size: 8192, Mode: 0o646, Populate: true}
			object := create(t, r, o)
			if found, made, err := r.Create(t.Context(), o); made || err != nil || found != object {
				t.Errorf("the second Create: %v, %t, %v; want %v", found, made, err, object)
			}
			o.Exclusive = true
			if _, _, err := r.Create(t.Context(), o); !errors.Is(err, fs.ErrExist) {
				t.Errorf("exclusive Create: %v", err)
			}
			if _, made, err := r.Create(t.Context(), shm.CreateOptions{Size: 8193, Mode: 0o600}); made || err == nil {
				t.Errorf("Create of a larger one: %t, %v", made, err)
			}
			if !slices.Contains(slices.Collect(shm.All()), object.Ref()) {
				t.Errorf("All has no %s", object.Ref())
			}
			if found, err := parse(t, object.Ref()).Find(); found != object || err != nil {
				t.Errorf("Find(%s) = %v, %v, want %v", object.Ref(), found, err, object)
			}
			wantState(t, object, 0o646)
			check(t, object.Set(func(o *sysv.Ownership) { o.Mode = 0o600 }))
			wantState(t, object, 0o600)
			wantSameMemory(t, object)
			check(t, object.Remove())
			if _, err := r.Find(); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Find of what was removed: %v", err)
			}
		})
	}
}

func wantState(t *testing.T, object shm.Object, mode fs.FileMode) {
	t.Helper()
	s, err := object.State()
	check(t, err)
	others := slices.DeleteFunc(s.Owners, func(uid uint32) bool { return int(uid) == os.Geteuid() })
	if s.Mode != mode || len(others) > 0 {
		t.Errorf("the state of %v is %+v, want the mode %04o", object, s, mode)
	}
}

func wantSameMemory(t *testing.T, object shm.Object) {
	t.Helper()
	one, other := attach(t, object), attach(t, object)
	_, err := one.WriteAt([]byte("text"), 8000)
	check(t, err)
	got := make([]byte, 4)
	if _, err := other.ReadAt(got, 8000); err != nil || string(got) != "text" {
		t.Errorf("%v holds %q, %v, want what was written", object, got, err)
	}
	readOnly, err := object.Attach(shm.AttachOptions{ReadOnly: true})
	check(t, err)
	if _, err := readOnly.WriteAt(got, 0); !readOnly.ReadOnly() || err == nil {
		t.Errorf("a write to what is attached for reading: %v", err)
	}
	check(t, readOnly.Detach())
}

// TestCreateIsInterrupted: an interrupted Create removes the segment.
func TestCreateIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := parse(t, "key:7")
	_, made, err := r.Create(ctx, shm.CreateOptions{Size: 256 << 20, Mode: 0o600, Populate: true})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Create: %v, %v, want the error of the context", made, err)
	}
	if got := explain.Error(err); got != "interrupted" {
		t.Errorf("%v is explained as %q", err, got)
	}
	if object, err := r.Find(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Find = %v, %v, want nothing", object, err)
	}
}

// TestUnsupported asks for objects that cannot be made.
func TestUnsupported(t *testing.T) {
	for name, o := range map[string]shm.CreateOptions{"7": {}, "/a": {HugePages: sysv.DefaultHugePages}, "/b": {Lock: true}} {
		o.Size = 4096
		if object, _, err := parse(t, name).Create(t.Context(), o); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Create of %s: %v, %v", name, object, err)
		}
	}
}

// TestNoRoom makes objects larger than /dev/shm.
func TestNoRoom(t *testing.T) {
	ipctest.MountShm(t, 1<<20)
	r := parse(t, "/large")
	for name, o := range map[string]shm.CreateOptions{"checked": {}, "populated": {NoReserve: true, Populate: true}} {
		o.Size, o.Mode = 2<<20, 0o600
		const want = "/dev/shm cannot hold 2097152 bytes: it has 1048576, of which 1048576 are free"
		if _, _, err := r.Create(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		if _, err := r.Find(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: Find: %v, want nothing", name, err)
		}
	}
	create(t, r, shm.CreateOptions{Size: 2 << 20, Mode: 0o600, NoReserve: true})
}
