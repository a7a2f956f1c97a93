package ipctest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Where POSIX objects live.
const (
	shmDir   = "/dev/shm"
	queueDir = "/dev/mqueue"
)

// MainPOSIX is Main for a package that makes POSIX objects: the new process also has
// its own /dev, with an empty /dev/shm and its IPC namespace's /dev/mqueue. Tests may
// mount over them.
func MainPOSIX(m *testing.M) { os.Exit(runAllPOSIX(m)) }

func runAllPOSIX(m *testing.M) int {
	if fuzzWorker() {
		return m.Run()
	}
	switch os.Getenv(inside) {
	case "":
		return runInside(ownIPCAndDev, unix.CLONE_NEWIPC|unix.CLONE_NEWNS)
	case ownIPCAndDev:
		if err := MountDev(); err != nil {
			return untested(fmt.Sprintf("no /dev of their own: %v", err))
		}
		return checked(checkedFiles(runTests(m)))
	default:
		return untested("no mount namespace of their own")
	}
}

// MountDev mounts a new file system on /dev, with the devices that programs need, an
// empty /dev/shm, and the IPC namespace's /dev/mqueue. The caller must be in its own
// mount namespace. MainPOSIX does this for a whole package.
//
// Mounts of the machine below /dev become unreachable, so a test may unmount
// anything it finds there.
func MountDev() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// The devices are kept open, since the new file system hides them.
	var devices []*os.File
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty", "pts"} {
		f, err := os.OpenFile(filepath.Join("/dev", name), unix.O_PATH, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		defer f.Close()
		devices = append(devices, f)
	}
	if err := mount("tmpfs", "/dev", "mode=755"); err != nil {
		return err
	}
	for _, f := range devices {
		if err := bind(f); err != nil {
			return fmt.Errorf("bind %s: %w", f.Name(), err)
		}
	}
	return errors.Join(
		os.Symlink("/proc/self/fd", "/dev/fd"),
		os.Symlink("pts/ptmx", "/dev/ptmx"),
		mount("tmpfs", shmDir, "mode=1777,size=256m"),
		mount("mqueue", queueDir, ""),
	)
}

// bind mounts an open device, or the directory of pseudoterminals, on its own name.
func bind(f *os.File) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case info.IsDir():
		err = os.Mkdir(f.Name(), 0o755)
	default:
		err = os.WriteFile(f.Name(), nil, 0o600)
	}
	if err != nil {
		return err
	}
	return unix.Mount(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), f.Name(), "", unix.MS_BIND, "")
}

// mount makes the directory target if necessary, and mounts on it.
func mount(fstype, target, data string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(fstype, target, fstype, 0, data); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}

// MountShm mounts an empty file system of size bytes on /dev/shm until the end of the
// test, which must not run in parallel with others.
func MountShm(t testing.TB, size int) {
	t.Helper()
	if err := mount("tmpfs", shmDir, fmt.Sprintf("mode=1777,size=%d", size)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Mappings that still exist would keep it busy.
		if err := unix.Unmount(shmDir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", shmDir, err)
		}
	})
}

// checkedFiles returns the run's exit status: failure if files are left.
func checkedFiles(status int) int {
	for _, dir := range []string{shmDir, queueDir} {
		entries, err := os.ReadDir(dir)
		for _, entry := range entries {
			fmt.Fprintf(os.Stderr, "left behind by a test: %s\n", filepath.Join(dir, entry.Name()))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		if (err != nil || len(entries) > 0) && status == 0 {
			status = 1
		}
	}
	return status
}
