package lsipc

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
)

// A commands caches the command lines of processes.
type commands struct {
	known map[int]string
	buf   []byte
}

// maxCommand is where command lines are cut.
const maxCommand = 8192

// of returns the command line of a process, "" if it is gone or has none.
func (c *commands) of(pid int) string {
	line, ok := c.known[pid]
	if !ok {
		if c.known == nil {
			c.known = make(map[int]string)
			c.buf = make([]byte, maxCommand)
		}
		line = c.read(pid)
		c.known[pid] = line
	}
	return line
}

func (c *commands) read(pid int) string {
	if pid == 0 {
		return ""
	}
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return ""
	}
	defer f.Close()
	n, err := io.ReadFull(f, c.buf)
	if n == 0 || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return ""
	}
	// Each argument ends in a NUL; drop the last one.
	return string(bytes.ReplaceAll(c.buf[:n-1], []byte{0}, []byte{' '}))
}
