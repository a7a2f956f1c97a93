//go:build linux

// Package tracer runs a program and reports the IPC calls that it and its children make. It
// needs no privileges: ptrace(2) shows the calls, and a seccomp filter stops only what
// package ipccall decodes, so that all other calls run at full speed.
//
// Every process under the filter depends on the tracer: the calls that it selects fail once
// the tracer has gone. The kernel therefore kills the traced processes when the tracer dies,
// and Run returns only after the last of them has ended. They cannot be traced by another
// program meanwhile. A set-user-ID program runs without the privileges of its owner, unless
// the tracer has CAP_SYS_PTRACE and CAP_SYS_ADMIN.
package tracer
