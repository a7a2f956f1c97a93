package bench

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A cpuChoice is the processors that the two processes run on.
type cpuChoice struct{ first, second int }

// none stands for the second processor if there is only one.
const none = -1

// CPUs returns how many processors this process may run on.
func CPUs() (int, error) {
	var mask unix.CPUSet
	err := unix.SchedGetaffinity(0, &mask)
	return mask.Count(), os.NewSyscallError("sched_getaffinity", err)
}

// chooseCPUs chooses the first processor that this process may use, and the first one
// on another core.
func chooseCPUs() (cpuChoice, error) {
	var mask unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mask); err != nil {
		return cpuChoice{}, os.NewSyscallError("sched_getaffinity", err)
	}
	c := cpuChoice{none, none}
	for cpu := range len(mask) * 64 {
		switch {
		case !mask.IsSet(cpu):
		case c.first == none:
			c.first = cpu
		case c.second == none || siblings(c.first, c.second) && !siblings(c.first, cpu):
			c.second = cpu
		}
	}
	return c, nil
}

// siblings reports whether two processors are threads of one core.
func siblings(a, b int) bool {
	core := func(cpu int) string {
		s, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
		if err != nil {
			return fmt.Sprint(cpu)
		}
		return strings.TrimSpace(string(s))
	}
	return core(a) == core(b)
}

// places returns the placements that this machine can measure.
func (c cpuChoice) places() []Cores {
	if c.second == none {
		return []Cores{Same, Alone}
	}
	return []Cores{Same, Cross, Alone}
}

// of returns the processor for a side, and the processors that it may use. A way that spins
// counts the processors it may use, and does not spin if there is only one. So a spinning
// process may use both, and must keep itself on its own.
func (c cpuChoice) of(cores Cores, side int, spins bool) (cpu int, may []int) {
	cpu = c.first
	if cores == Cross && side == 1 {
		cpu = c.second
	}
	if cores == Cross && spins {
		return cpu, []int{c.first, c.second}
	}
	return cpu, []int{cpu}
}

// stayer returns a function that moves the calling thread back to the processor of r if
// it runs on another.
func (r role) stayer() func() {
	var may, own unix.CPUSet
	if unix.SchedGetaffinity(0, &may) != nil || may.Count() == 1 {
		return func() {}
	}
	own.Set(r.cpu)
	return func() {
		if currentCPU() == r.cpu {
			return
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		// This fails if the processor was taken away meanwhile, which does no harm.
		if unix.SchedSetaffinity(0, &own) == nil {
			_ = unix.SchedSetaffinity(0, &may)
		}
	}
}

// currentCPU returns the calling thread's processor.
func currentCPU() int {
	var cpu uint32
	_, _, _ = unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0) // cannot fail
	return int(cpu)
}

// startOn starts a process restricted to cpus, which it inherits from the starting
// thread.
func startOn(cmd *exec.Cmd, cpus []int) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, mask unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	for _, cpu := range cpus {
		mask.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &mask); err != nil {
		return os.NewSyscallError("sched_setaffinity", err)
	}
	defer func() {
		if e := unix.SchedSetaffinity(0, &before); err == nil {
			err = os.NewSyscallError("sched_setaffinity", e)
		}
	}()
	return cmd.Start()
}
