package ipctest

import (
	"os"
	"testing"
)

// FilesIn returns the names in a directory, sorted.
func FilesIn(t testing.TB, dir string) (names []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}
