package main

import "syscall"

// endWithParent has the kernel tell a child to end when the thread that started it
// is gone, even if that was killed.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
