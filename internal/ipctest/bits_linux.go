package ipctest

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Runs32 reports whether this machine also runs programs for 386: amd64 does, unless
// its kernel was built or booted without that.
func Runs32(t testing.TB) bool {
	t.Helper()
	if runtime.GOARCH != "amd64" || UnderQEMU() {
		return false
	}
	program := filepath.Join(t.TempDir(), "exit")
	if err := os.WriteFile(program, exit386(), 0o700); err != nil {
		t.Fatal(err)
	}
	return exec.Command(program).Run() == nil
}

// Need32 skips a test for 32-bit programs if they do not run here.
func Need32(t testing.TB) {
	t.Helper()
	if !Runs32(t) {
		t.Skip("this kernel runs no programs of 32 bits")
	}
}

// exit386 returns the smallest program for 386, which exits at once with status 0.
func exit386() []byte {
	const base, headers = 0x08048000, 52 + 32
	code := []byte{0x31, 0xdb, 0x8d, 0x43, 0x01, 0xcd, 0x80} // xor ebx, ebx; lea eax, [ebx+1]; int 0x80
	size := uint32(headers + len(code))
	b := append([]byte("\x7fELF\x01\x01\x01"), make([]byte, 9)...)
	half := func(values ...uint16) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint16(b, v)
		}
	}
	word := func(values ...uint32) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
	}
	half(2, 3)                                    // an executable for 386
	word(1, base+headers, 52, 0, 0)               // version, entry, program headers, no sections
	half(52, 32, 1, 0, 0, 0)                      // sizes and numbers of headers
	word(1, 0, base, base, size, size, 5, 0x1000) // load all of it, to read and execute
	return append(b, code...)
}
