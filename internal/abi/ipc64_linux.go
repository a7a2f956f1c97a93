//go:build linux && (amd64 || arm64 || loong64 || riscv64)

package abi

// These architectures know the 64-bit structures only.
const ipc64 = 0
