//go:build linux

package ipccall

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Decoder decodes calls. It remembers which calls are to be restarted, and the final names
// of files that were linked. It is not safe for concurrent use.
type Decoder struct {
	tables  map[uint32]*table
	restart map[int]*Call     // by thread
	linked  map[Object]Object // from the name of a file to its last one
	plain   bool
}

// NewDecoder returns a Decoder. Unless text is set, it leaves out the Args of calls, which
// not everybody needs.
func NewDecoder(text bool) *Decoder {
	d := &Decoder{tables: make(map[uint32]*table), restart: make(map[int]*Call), linked: make(map[Object]Object), plain: !text}
	for _, t := range tables() {
		d.tables[t.arch] = t
	}
	return d
}

// Enter begins a call of the thread tid. It returns nil if the call has nothing to do with
// IPC, or if the Decoder does not know programs of this architecture.
func (d *Decoder) Enter(p Process, tid int, e Entry) *Call {
	t := d.tables[e.Arch]
	if t == nil {
		return nil
	}
	s := t.calls[e.Number]
	if s == nil {
		return nil
	}
	c := &Call{TID: tid, Name: s.name, spec: s, table: t, args: e.Args}
	if !t.wide {
		for i := range c.args {
			c.args[i] = uint64(uint32(c.args[i]))
		}
	}
	if interrupted := d.restart[tid]; interrupted != nil {
		delete(d.restart, tid)
		if s.name == restartName {
			return c.resume(interrupted)
		}
	}
	if !s.enter(&decoding{d, p, c}) {
		return nil
	}
	c.Object = d.current(c.Object)
	return c
}

// resume turns c, a restart_syscall, into the rest of an interrupted call.
func (c *Call) resume(interrupted *Call) *Call {
	c.Args = interrupted.Args
	if interrupted.Name != restartName {
		c.Args = []string{"<" + interrupted.Text() + ">"}
	}
	c.Object, c.Key, c.Ops, c.Waits, c.spec, c.args = interrupted.Object, interrupted.Key, interrupted.Ops, interrupted.Waits, interrupted.spec, interrupted.args
	return c
}

// Exit completes a call: result is what the kernel returned, a negative error number for an
// error.
func (d *Decoder) Exit(p Process, c *Call, result int64, failed bool) {
	c.Done, c.Result = true, result
	if failed {
		c.Errno, c.Result = unix.Errno(-result), -1
		if c.Errno == restartBlock {
			d.restart[c.TID] = c
		}
	}
	if c.spec.exit != nil {
		c.spec.exit(&decoding{d, p, c})
	}
	c.Object = d.current(c.Object)
}

// Ended forgets a thread.
func (d *Decoder) Ended(tid int) { delete(d.restart, tid) }

// current returns the last name of an object. sem_open(3) makes a file with a random name
// and links it to the semaphore's; mappings show the first name.
func (d *Decoder) current(o Object) Object {
	if last, ok := d.linked[o]; ok {
		return last
	}
	return o
}

// A decoding is a call whose arguments are being decoded.
type decoding struct {
	*Decoder
	Process
	*Call
}

// arg adds the text of an argument.
func (c *decoding) arg(text string) {
	if !c.plain {
		c.Args = append(c.Args, text)
	}
}

// int returns an argument of type int.
func (c *decoding) int(i int) int { return int(int32(c.args[i])) }

// long returns an argument of type long.
func (c *decoding) long(i int) int64 {
	if c.table.wide {
		return int64(c.args[i])
	}
	return int64(int32(c.args[i]))
}

// bytes reads size bytes of memory, or returns nil.
func (c *decoding) bytes(addr uint64, size int) []byte {
	if addr == 0 {
		return nil
	}
	b := make([]byte, size)
	if c.ReadMemory(b, addr) != size {
		return nil
	}
	return b
}

// word returns the size of a long.
func (c *decoding) word() int {
	if c.table.wide {
		return 8
	}
	return 4
}

// number decodes a little-endian number; all known architectures are little-endian.
func number(b []byte) uint64 {
	var v [8]byte
	copy(v[:], b)
	return binary.LittleEndian.Uint64(v[:])
}

// path reads a string that ends with a NUL. It returns false if there is none.
func (c *decoding) path(addr uint64) (string, bool) {
	const most, page = 4096, 4096
	var b []byte
	for len(b) < most && addr != 0 {
		chunk := make([]byte, min(256, page-addr%page)) // what follows on the next page may be unmapped
		n := c.ReadMemory(chunk, addr)
		if i := slices.Index(chunk[:n], 0); i >= 0 {
			return string(append(b, chunk[:i]...)), true
		}
		if n < len(chunk) {
			break
		}
		b = append(b, chunk...)
		addr += uint64(n)
	}
	return "", false
}

// timespec returns the text of a struct timespec with fields of size bytes.
func (c *decoding) timespec(addr uint64, size int) string {
	b := c.bytes(addr, 2*size)
	if b == nil {
		return pointer(addr)
	}
	seconds, nanoseconds := number(b[:size]), number(b[size:])
	if size == 4 {
		return "{tv_sec=" + signed(seconds) + ", tv_nsec=" + signed(nanoseconds) + "}"
	}
	return "{tv_sec=" + strconv.FormatInt(int64(seconds), 10) + ", tv_nsec=" + strconv.FormatInt(int64(nanoseconds), 10) + "}"
}

// timeSize returns the size of the fields of the timespec that the call takes.
func (c *decoding) timeSize() int {
	if c.table.wide || strings.HasSuffix(c.Name, "_time64") {
		return 8
	}
	return 4
}

// descriptor returns a file descriptor with its path.
func (c *decoding) descriptor(i int) string {
	file := c.File(c.int(i))
	if file == "" {
		return signed(c.args[i])
	}
	return signed(c.args[i]) + "<" + escape(file) + ">"
}

// escape makes a path safe within a line.
func escape(s string) string {
	q := quote([]byte(s), 0)
	return q[1 : len(q)-1]
}
