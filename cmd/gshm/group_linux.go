package main

import "syscall"

// ownGroup puts a child into a process group of its own: of an interrupt from the
// terminal it hears from its parent alone.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
