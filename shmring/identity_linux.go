package shmring

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// thisSystem reads what /proc tells of the calling process. What is missing there
// is 0: the process then is one that nobody can prove dead, and can't judge itself.
func thisSystem() system {
	s := system{boot: bootID(), namespaces: inode("/proc/self/ns/pid")<<32 | inode("/proc/self/ns/time")&0xffff_ffff}
	pid := os.Getpid()
	// A /proc of another pid namespace has other numbers.
	if link, err := os.Readlink("/proc/self"); err != nil || link != strconv.Itoa(pid) {
		return s
	}
	if p, err := readStat(pid); err == nil && pid < 1<<pidBits {
		s.pid, s.start = pid, p.start
	}
	return s
}

// bootID returns the first half of the random number that the kernel draws at boot.
func bootID() uint64 {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return 0
	}
	var b [8]byte
	digits := strings.ReplaceAll(string(text), "-", "")
	if len(digits) < 16 {
		return 0
	}
	if _, err := hex.Decode(b[:], []byte(digits[:16])); err != nil {
		return 0
	}
	var id uint64
	for _, c := range b {
		id = id<<8 | uint64(c)
	}
	return id
}

func inode(path string) uint64 {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0
	}
	return st.Ino
}

// ended tells whether the process that had this number from this start on has
// certainly ended.
func ended(pid int, start uint64) bool {
	if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return true
	}
	p, err := readStat(pid)
	if err != nil {
		return false // gone since, or hidden from us (hidepid): the next look tells
	}
	// A zombie has let go of its memory. One that has other threads is only a main
	// thread that ended before them.
	return p.start != start || (p.state == 'Z' || p.state == 'X') && p.threads <= 1
}

// procStat is what we need of /proc/PID/stat; see proc_pid_stat(5).
type procStat struct {
	state   byte
	threads int
	start   uint64
}

func readStat(pid int) (procStat, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, err
	}
	return parseStat(text)
}

// parseStat reads fields 3, 20 and 22. The second is the name in parentheses, which
// may itself hold spaces and parentheses.
func parseStat(text []byte) (procStat, error) {
	end := bytes.LastIndexByte(text, ')')
	fields := bytes.Fields(text[end+1:])
	if end < 0 || len(fields) < 20 {
		return procStat{}, errors.New("/proc/PID/stat: too few fields")
	}
	threads, err := strconv.Atoi(string(fields[17]))
	if err != nil {
		return procStat{}, err
	}
	start, err := strconv.ParseUint(string(fields[19]), 10, 64)
	return procStat{state: fields[0][0], threads: threads, start: start & (1<<(64-pidBits) - 1)}, err
}
