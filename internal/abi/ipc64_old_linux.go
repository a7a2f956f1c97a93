//go:build linux && (arm || mips64 || mips64le)

package abi

// IPC_64 selects the structures with 32-bit user ids. Without it, these architectures
// return the structures of Linux 2.2.
const ipc64 = 0x100
