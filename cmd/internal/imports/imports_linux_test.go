package imports

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
)

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name, source string
		flags        []string
		want         File
	}{
		{"nothing", `int main() { return 0; }`, nil, File{Program: true}},
		{"segments", `#include <sys/shm.h>
			int main() { return shmat(1, 0, 0) != 0; }`, nil, File{Calls: Segments, Program: true}},
		{"sets and queues", `#include <sys/sem.h>
			#include <sys/msg.h>
			int main() { struct sembuf b = {0}; return semop(1, &b, 1) + msgsnd(1, &b, 1, 0); }`, nil, File{Calls: Sets | Queues, Program: true}},
		{"control only", `#include <sys/sem.h>
			int main() { return semctl(1, 0, IPC_RMID); }`, nil, File{Program: true}},
		{"a library", `#include <sys/sem.h>
			int f() { struct sembuf b = {0}; return semop(1, &b, 1); }`, []string{"-shared", "-fPIC", "-Wl,-soname,libmine.so.1"}, File{Calls: Sets, Name: "libmine.so.1"}},
		{"an FFI", `int f() { return 0; }`, []string{"-shared", "-fPIC", "-Wl,-soname,libluajit-5.1.so.2"}, File{Calls: All, Name: "libluajit-5.1.so.2"}},
		{"not position independent", `#include <sys/shm.h>
			int main() { return shmget(1, 1, 0); }`, []string{"-no-pie"}, File{Calls: Segments, Program: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read(compile(t, tt.source, tt.flags...))
			if err != nil || got != tt.want {
				t.Errorf("%+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

// compile returns the C compiler's output for source.
func compile(t testing.TB, source string, flags ...string) *bytes.Reader {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.c")
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(ipctest.Compile(t, path, flags...))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b)
}

func TestReadNothing(t *testing.T) {
	if got, err := Read(compile(t, `int main() { return 0; }`, "-static")); err == nil {
		t.Errorf("of a static program: %+v", got)
	}
	program := compile(t, `int main() { return 0; }`)
	stripped := filepath.Join(t.TempDir(), "stripped")
	b := make([]byte, program.Size())
	if _, err := program.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	for i := range 6 { // no table of sections: e_shoff, e_shnum and e_shstrndx are 0
		b[0x3a+i] = 0
	}
	copy(b[0x28:0x30], make([]byte, 8))
	if err := os.WriteFile(stripped, b, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command(stripped).Run(); err != nil {
		t.Fatalf("it must run as before: %v", err)
	}
	if got, err := Read(bytes.NewReader(b)); err == nil {
		t.Errorf("of a program without sections: %+v", got)
	}
	for _, text := range []string{"", "#!/bin/sh\n", "\x7fELF"} {
		if got, err := Read(bytes.NewReader([]byte(text))); err == nil {
			t.Errorf("of %q: %+v", text, got)
		}
	}
}

func TestReadGo(t *testing.T) {
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	if got, _ := Read(exe); !got.Go {
		t.Errorf("of this program: %+v", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = Read(bytes.NewReader(b)) // must return
	})
}
