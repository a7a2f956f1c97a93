package spin_test

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/spin"
)

func TestUsefulAffinity(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	if want := all.Count() > 1 && runtime.GOMAXPROCS(0) > 1; spin.Useful() != want {
		t.Errorf("Useful = %v on %d processors, want %v", !want, all.Count(), want)
	}
	var one unix.CPUSet
	for cpu := range 1024 {
		if all.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.SchedSetaffinity(0, &all); err != nil {
			t.Error(err)
		}
	}()
	if spin.Useful() {
		t.Error("spinning is useful on one processor")
	}
}
