//go:build linux && (amd64 || arm64 || loong64 || riscv64)

package abi

// These architectures have only the 64-bit structures.
const ipc64 = 0
