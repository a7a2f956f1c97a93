package ipctest

import (
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/abi"
)

// Commands is a set of commands. Each stands for that command of shmctl, semctl and
// msgctl.
type Commands uint

// The commands that list objects and report limits.
const (
	IPCStat Commands = 1 << iota
	IPCInfo
	Info // SHM_INFO and its like
	Stat
	StatAny
	AllCommands // above all combinations
)

// String returns the names of the commands.
func (c Commands) String() string {
	var names []string
	for i, name := range []string{"IPC_STAT", "IPC_INFO", "*_INFO", "*_STAT", "*_STAT_ANY"} {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// numbers returns the numbers of the commands, for each call.
func (c Commands) numbers() (numbers [3][]uint32) {
	for i, all := range [...][3]uint32{
		{abi.IPCStat, abi.IPCStat, abi.IPCStat},
		{abi.IPCInfo, abi.IPCInfo, abi.IPCInfo},
		{abi.ShmInfo, abi.SemInfo, abi.MsgInfo},
		{abi.ShmStat, abi.SemStat, abi.MsgStat},
		{abi.ShmStatAny, abi.SemStatAny, abi.MsgStatAny},
	} {
		if c&(1<<i) == 0 {
			continue
		}
		for call, number := range all {
			numbers[call] = append(numbers[call], number)
		}
	}
	return numbers
}

// Refuse makes the kernel permanently refuse commands to the calling thread and its
// children, like a security policy or an older kernel. Call it within OnThread.
func Refuse(commands Commands, e unix.Errno) error {
	const number, arguments, size = 0, 16, 8 // struct seccomp_data; the relevant halves come first
	var program []unix.SockFilter
	add := func(code uint16, k uint32, ifTrue, ifFalse uint8) {
		program = append(program, unix.SockFilter{Code: code, K: k, Jt: ifTrue, Jf: ifFalse})
	}
	for i, refused := range commands.numbers() {
		call := [...]uint32{unix.SYS_SHMCTL, unix.SYS_SEMCTL, unix.SYS_MSGCTL}[i]
		argument := [...]uint32{1, 2, 1}[i]
		for _, command := range refused {
			add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, number, 0, 0)
			add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, call, 0, 3)
			add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, arguments+size*argument, 0, 0)
			add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, command, 0, 1)
			add(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ERRNO|uint32(e), 0, 0)
		}
	}
	add(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW, 0, 0)
	return install(program, 0)
}

// RefuseCall makes the kernel permanently refuse a system call to all threads of this process
// and to its children, like a security policy or an older kernel.
func RefuseCall(number uint32, e unix.Errno) error {
	return install([]unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(e)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}, unix.SECCOMP_FILTER_FLAG_TSYNC)
}

// install installs a filter of system calls.
func install(program []unix.SockFilter, flags uintptr) error {
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	switch thread, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&filter))); {
	case e != 0:
		return e
	case thread != 0:
		return fmt.Errorf("thread %d has another filter", thread)
	}
	return nil
}

// OnThread runs f on a thread that ends with it, so that f may change properties of the
// thread: its user, its namespaces, the calls it may make.
func OnThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked
		f()
	}()
	<-done
}

// Become changes the user of the calling thread alone. Call it within OnThread.
func Become(uid int) error {
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); e != 0 {
		return e
	}
	return nil
}
