package sysv_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// TestFtokIsThatOfC compares Ftok with ftok(3) for many files and for every
// project number.
func TestFtokIsThatOfC(t *testing.T) {
	ftok := ipctest.Compile(t, "../integration/peers/ftok.c")

	files := []string{"/", ".", "..", "/proc/version", "/dev/null", "/dev/shm", "/tmp", "/sys/kernel", os.Args[0]}
	dir := t.TempDir()
	for i := range 300 {
		name := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, name)
	}
	link := filepath.Join(dir, "link") // ftok follows it
	if err := os.Symlink("/etc", link); err != nil {
		t.Fatal(err)
	}
	files = append(files, link)

	var args []string
	for i, file := range files {
		args = append(args, strconv.Itoa(1+i%255), file)
	}
	for proj := 1; proj <= 255; proj++ {
		args = append(args, strconv.Itoa(proj), dir)
	}
	out, err := exec.Command(ftok, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(out))
	if len(want) != len(args)/2 {
		t.Fatalf("ftok.c printed %d keys of %d", len(want), len(args)/2)
	}
	negative := 0
	for i := range want {
		proj, file := args[2*i], args[2*i+1]
		n, _ := strconv.Atoi(proj)
		got, err := sysv.Ftok(file, byte(n))
		if err != nil || strconv.Itoa(int(got)) != want[i] {
			t.Errorf("Ftok(%s, %s) = %d, %v, want %s", file, proj, got, err, want[i])
		}
		if got < 0 {
			negative++
		}
	}
	if negative == 0 {
		t.Error("no key was negative, though project numbers above 127 make them so")
	}
}

// TestNegativeKey makes and finds an object under a key with the top bit set.
func TestNegativeKey(t *testing.T) {
	key := sysv.Key(-2147483000)
	set := createSet(t, key, 1, 0o600)
	found, err := sysv.OpenSet(key)
	if err != nil || found != set {
		t.Errorf("OpenSet(%v) = %v, %v, want %v", key, found, err, set)
	}
	info, err := set.Stat()
	if err != nil || info.Key != key {
		t.Errorf("Stat tells key %v, %v, want %v", info.Key, err, key)
	}
}
