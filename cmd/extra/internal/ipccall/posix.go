//go:build linux

package ipccall

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	mapShared    = 1
	mapAnonymous = 0x20

	oCreat = 0o100
	oExcl  = 0o200

	futexWait          = 0
	futexLockPI        = 6
	futexWaitBitset    = 9
	futexWaitRequeuePI = 11
	futexLockPI2       = 13
	futexPrivate       = 128
	futexRealtime      = 256
	futexOp            = ^uint32(futexRealtime)
)

// openSpec is open(2) or openat(2). shm_open(3) and sem_open(3) set O_NOFOLLOW, and
// sem_open(3) makes a new file with O_EXCL. Other flags are not selected: programs open too
// many files for each to be stopped.
func openSpec(name string, noFollow uint64) *spec {
	at := atOf(name)
	return &spec{
		name: name,
		tests: []test{
			hasBit(at+1, uint32(noFollow)),
			{at + 1, oCreat | oExcl, []uint32{oCreat | oExcl}},
		},
		enter: func(c *decoding) bool {
			if !c.directoryAndPath(at) {
				return false
			}
			f := uint64(uint32(c.args[at+1]))
			c.arg(openText(f, c.table.open))
			if f&oCreat != 0 {
				c.arg(octal(c.args[at+2]))
			}
			return true
		},
	}
}

func openText(f uint64, bits openBits) string {
	const accessMode = 3
	if f&accessMode == 0 {
		if f == 0 {
			return "O_RDONLY"
		}
		return "O_RDONLY|" + flags(f, openFlags(bits))
	}
	return flags(f, openFlags(bits))
}

// atOf returns the number of the argument that is a path: 1 in calls that first take a
// directory.
func atOf(name string) int {
	if strings.HasSuffix(name, "at") {
		return 1
	}
	return 0
}

// directoryAndPath decodes the path of a POSIX object, and before it the directory if at is
// 1. It returns false for other paths.
func (c *decoding) directoryAndPath(at int) bool {
	file, ok := c.path(c.args[at])
	if !ok {
		return false
	}
	if c.Object, ok = fileObject(file); !ok {
		return false
	}
	if at > 0 {
		c.arg(directory(c.args[at-1]))
	}
	c.arg(`"` + escape(file) + `"`)
	return true
}

func directory(fd uint64) string {
	if int32(fd) == unix.AT_FDCWD {
		return "AT_FDCWD"
	}
	return signed(fd)
}

// unlinkSpec is unlink(2), or unlinkat(2) as shm_unlink(3) calls it.
func unlinkSpec(name string) *spec {
	at := atOf(name)
	s := &spec{name: name, enter: func(c *decoding) bool {
		if !c.directoryAndPath(at) {
			return false
		}
		if at > 0 {
			c.arg(flags(uint64(uint32(c.args[2])), []flag{{unix.AT_REMOVEDIR, "AT_REMOVEDIR"}}))
		}
		return true
	}}
	if at > 0 { // removing a tree of files uses directories
		cwd := int32(unix.AT_FDCWD)
		s.tests = []test{{0, ^uint32(0), []uint32{uint32(cwd)}}}
	}
	return s
}

// linkSpec is link(2) or linkat(2), which give a semaphore or an object its name.
func linkSpec(name string) *spec {
	at := atOf(name)
	return &spec{name: name, enter: func(c *decoding) bool {
		from, ok := c.path(c.args[at])
		if !ok {
			return false
		}
		to, ok := c.path(c.args[2*at+1])
		if !ok {
			return false
		}
		if c.Object, ok = fileObject(to); !ok {
			return false
		}
		c.Former = c.linkedFile(from)
		if at == 0 {
			c.arg(`"` + escape(from) + `"`)
			c.arg(`"` + escape(to) + `"`)
			return true
		}
		c.arg(directory(c.args[0]))
		c.arg(`"` + escape(from) + `"`)
		c.arg(directory(c.args[2]))
		c.arg(`"` + escape(to) + `"`)
		c.arg(flags(uint64(uint32(c.args[4])), []flag{{unix.AT_SYMLINK_FOLLOW, "AT_SYMLINK_FOLLOW"}, {unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"}}))
		return true
	}, exit: func(c *decoding) {
		if c.Errno == 0 && c.Former != (Object{}) && len(c.linked) < most {
			c.linked[c.Former] = c.Object
		}
	}}
}

// linkedFile returns the object that a file is before it is linked. A file without a name is
// linked by its path in /proc/self/fd.
func (c *decoding) linkedFile(file string) Object {
	if fd, found := strings.CutPrefix(file, "/proc/self/fd/"); found {
		n, err := strconv.Atoi(fd)
		if err != nil {
			return Object{}
		}
		file = c.File(n)
	}
	o, _ := fileObject(file)
	return o
}

func mmapSpec(name string) *spec {
	return &spec{
		name: name, address: true,
		tests: []test{{3, mapShared | mapAnonymous, []uint32{mapShared}}},
		enter: func(c *decoding) bool {
			file := c.File(c.int(4))
			o, ok := fileObject(file)
			if !ok || o.Kind == "pmsg" {
				return false
			}
			c.Object = o
			c.arg(pointer(c.args[0]))
			c.arg(strconv.FormatUint(c.args[1], 10))
			c.arg(flags(c.args[2], protFlags()))
			c.arg(flags(uint64(uint32(c.args[3])), mapFlags()))
			c.arg(c.descriptor(4))
			offset := c.args[5]
			if name == "mmap2" { // counts pages
				offset *= 4096
			}
			if offset == 0 {
				c.arg("0")
			} else {
				c.arg(hex(offset))
			}
			return true
		},
	}
}

// futexSpec is a wait by futex(2). Waits on private memory are not selected, nor is waking.
func futexSpec(name string) *spec {
	ops := []uint32{futexWait, futexLockPI, futexWaitBitset, futexWaitRequeuePI, futexLockPI2}
	return &spec{
		name:  name,
		tests: []test{{1, futexOp, ops}},
		enter: func(c *decoding) bool {
			m, ok := c.MappingAt(c.args[0])
			if !ok {
				return false
			}
			if c.Object, ok = mappedObject(m); !ok {
				return false
			}
			c.Waits = true
			if c.plain {
				return true
			}
			c.arg(pointer(c.args[0]) + "<" + escape(c.current(c.Object).String()) + "+" + hex(c.args[0]-m.Start+m.Offset) + ">")
			op := uint64(uint32(c.args[1]))
			text := choice(op&^futexRealtime, futexOps())
			if op&futexRealtime != 0 {
				text += "|FUTEX_CLOCK_REALTIME"
			}
			c.arg(text)
			c.arg(strconv.FormatUint(uint64(uint32(c.args[2])), 10))
			c.arg(c.timespec(c.args[3], c.timeSize()))
			if op&^futexRealtime == futexWaitBitset {
				c.arg(choice(uint64(uint32(c.args[5])), []flag{{0xffffffff, "FUTEX_BITSET_MATCH_ANY"}}))
			}
			return true
		},
	}
}

const restartName = "restart_syscall"

// restartSpec is restart_syscall(2). Decoder.Enter makes it the rest of the call that a
// signal interrupted; if that was no call of IPC, it is not decoded.
func restartSpec() *spec {
	return &spec{name: restartName, enter: func(*decoding) bool { return false }}
}

func mqOpenSpec() *spec {
	return &spec{name: "mq_open", enter: func(c *decoding) bool {
		c.queueName()
		f := uint64(uint32(c.args[1]))
		c.arg(openText(f, c.table.open))
		if f&oCreat != 0 {
			c.arg(octal(uint64(uint32(c.args[2]))))
			c.arg(c.structure(c.args[3], mqAttr()))
		}
		return true
	}}
}

func mqUnlinkSpec() *spec {
	return &spec{name: "mq_unlink", enter: func(c *decoding) bool {
		c.queueName()
		return true
	}}
}

// queueName decodes the name of a queue, which the C library passes without its slash.
func (c *decoding) queueName() {
	name, ok := c.path(c.args[0])
	if !ok {
		c.arg(pointer(c.args[0]))
		return
	}
	c.Object = Object{Kind: "pmsg", Name: "/" + name}
	c.arg(`"` + escape(name) + `"`)
}

// enterQueue takes the first argument for the descriptor of a queue.
func (c *decoding) enterQueue() {
	c.Object = queueObject(c.File(c.int(0)))
	if !c.plain {
		c.arg(c.descriptor(0))
	}
}

func mqSendSpec(name string) *spec {
	return &spec{name: name, enter: func(c *decoding) bool {
		c.enterQueue()
		c.Waits = true
		c.arg(c.text(c.args[2]))
		c.arg(strconv.FormatUint(c.args[2], 10))
		c.arg(strconv.FormatUint(uint64(uint32(c.args[3])), 10))
		c.arg(c.timespec(c.args[4], c.timeSize()))
		return true
	}}
}

func mqReceiveSpec(name string) *spec {
	return &spec{name: name, enter: func(c *decoding) bool {
		c.enterQueue()
		c.Waits = true
		return true
	}, exit: func(c *decoding) {
		priority := pointer(c.args[3])
		if c.Errno == 0 {
			c.arg(c.text(uint64(c.Result)))
			if b := c.bytes(c.args[3], 4); b != nil {
				priority = "[" + strconv.FormatUint(number(b), 10) + "]"
			}
		} else {
			c.arg(pointer(c.args[1]))
		}
		c.arg(strconv.FormatUint(c.args[2], 10))
		c.arg(priority)
		c.arg(c.timespec(c.args[4], c.timeSize()))
	}}
}

// text returns the text of a message of a POSIX queue.
func (c *decoding) text(size uint64) string {
	if c.plain {
		return ""
	}
	b := c.bytes(c.args[1], int(min(size, quoteMax)))
	if b == nil {
		return pointer(c.args[1])
	}
	return quote(b, size)
}

func mqNotifySpec() *spec {
	return &spec{name: "mq_notify", enter: func(c *decoding) bool {
		c.enterQueue()
		b := c.bytes(c.args[1], c.word()+8)
		if b == nil {
			c.arg(pointer(c.args[1]))
			return true
		}
		signo, notify := unix.Signal(int32(number(b[c.word():c.word()+4]))), number(b[c.word()+4:])
		name := unix.SignalName(signo)
		if name == "" {
			name = strconv.Itoa(int(signo))
		}
		how := choice(notify, []flag{{0, "SIGEV_SIGNAL"}, {1, "SIGEV_NONE"}, {2, "SIGEV_THREAD"}})
		c.arg("{sigev_signo=" + name + ", sigev_notify=" + how + "}")
		return true
	}}
}

func mqGetsetattrSpec() *spec {
	return &spec{name: "mq_getsetattr", enter: func(c *decoding) bool {
		c.enterQueue()
		c.arg(c.structure(c.args[1], mqAttr()))
		return true
	}, exit: func(c *decoding) {
		if c.Errno != 0 {
			c.arg(pointer(c.args[2]))
			return
		}
		c.arg(c.structure(c.args[2], mqAttr()))
	}}
}
