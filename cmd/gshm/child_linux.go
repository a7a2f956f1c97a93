package main

import "syscall"

// endWithParent has the kernel tell a child to end when the thread that started it
// is gone, even if that was killed. Of an interrupt from the terminal the child
// hears from its parent alone, being in a process group of its own.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}
