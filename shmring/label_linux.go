package shmring

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// bootID returns the first half of the random id that the kernel chose at boot.
func bootID() uint64 {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return 0
	}
	digits := strings.ReplaceAll(string(text), "-", "")
	if len(digits) < 16 {
		return 0
	}
	id, err := strconv.ParseUint(digits[:16], 16, 64)
	if err != nil {
		return 0
	}
	return id
}

// thisProcess returns the label of the calling process. A field that /proc does not show is
// 0.
func thisProcess() label {
	l := label{pid: uint32(os.Getpid())}
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/pid", &st) == nil {
		l.namespace = uint32(st.Ino)
	}
	if text, err := os.ReadFile("/proc/self/stat"); err == nil {
		l.start = startTime(text)
	}
	return l
}

// startTime returns field 22 of /proc/PID/stat, or 0 if it is missing. The second field is
// the name in parentheses, which may contain spaces and parentheses.
func startTime(text []byte) uint64 {
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return 0
	}
	start, err := strconv.ParseUint(string(fields[19]), 10, 64)
	if err != nil {
		return 0
	}
	return start
}
