package posix_test

import (
	"io/fs"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/posix"
)

// TestStat compares the Stat functions with the entries in the lists.
func TestStat(t *testing.T) {
	must(t, os.WriteFile("/dev/shm/x", []byte("12345"), 0o200))
	t.Cleanup(func() { must(t, posix.UnlinkObject("/x")) })
	s, err := posix.CreateSemaphore("/x", 7, nil)
	must(t, err)
	t.Cleanup(func() { must(t, posix.UnlinkSemaphore("/x")) })
	must(t, s.Close())
	createQueue(t, "/x", small)

	for want, err := range posix.Objects() {
		must(t, err)
		if got, err := posix.StatObject(want.Name); got != want || err != nil {
			t.Errorf("StatObject = %+v, %v, want %+v", got, err, want)
		}
	}
	for want, err := range posix.Semaphores() {
		must(t, err)
		got, err := posix.StatSemaphore(want.Name)
		if got.ATime = want.ATime; got != want || err != nil || !got.Known || got.Value != 7 {
			t.Errorf("StatSemaphore = %+v, %v, want %+v", got, err, want)
		}
	}
	for want, err := range posix.Queues() {
		must(t, err)
		got, err := posix.StatQueue(want.Name) // reading its file changes its times
		if got.ATime, got.CTime = want.ATime, want.CTime; got != want || err != nil || !got.Known {
			t.Errorf("StatQueue = %+v, %v, want %+v", got, err, want)
		}
	}

	must(t, os.Symlink("x", "/dev/shm/link"))
	t.Cleanup(func() { must(t, os.Remove("/dev/shm/link")) })
	for name, want := range map[string]error{"/nosuch": fs.ErrNotExist, "/link": unix.EINVAL, "/a/b": unix.EINVAL} {
		_, err := posix.StatObject(name)
		wantErr(t, err, want)
	}
	_, err = posix.StatSemaphore("/nosuch")
	wantErr(t, err, fs.ErrNotExist)
	_, err = posix.StatQueue("/nosuch")
	wantErr(t, err, fs.ErrNotExist)
}
