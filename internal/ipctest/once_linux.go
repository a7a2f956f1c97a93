package ipctest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// built holds what Once has made, until all tests of the process have ended.
var built struct {
	sync.Mutex
	dir  string
	made map[string]func() (string, error)
}

// Once returns a directory that make has filled. Only the first test of the process that
// asks for what calls make; every user may read the directory, and nobody may change it.
func Once(t testing.TB, what string, make func(dir string) error) (dir string) {
	t.Helper()
	dir, err := once(what, make)()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func once(what string, fill func(dir string) error) func() (string, error) {
	built.Lock()
	defer built.Unlock()
	if f, ok := built.made[what]; ok {
		return f
	}
	dir, err := newBuilt()
	f := sync.OnceValues(func() (string, error) {
		if err == nil {
			err = fill(dir)
		}
		return dir, err
	})
	if built.made == nil {
		built.made = make(map[string]func() (string, error))
	}
	built.made[what] = f
	return f
}

// newBuilt makes a directory for one more thing.
func newBuilt() (dir string, err error) {
	if built.dir == "" {
		if built.dir, err = os.MkdirTemp("", "gipc-test-"); err != nil {
			return "", err
		}
		if err = os.Chmod(built.dir, 0o755); err != nil {
			return "", err
		}
	}
	dir = filepath.Join(built.dir, fmt.Sprint(len(built.made)))
	return dir, os.Mkdir(dir, 0o755)
}

// runTests runs the tests and removes what they have built.
func runTests(m *testing.M) (status int) {
	status = m.Run()
	if err := os.RemoveAll(built.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return status
}
