//go:build linux

package ipccall

import (
	"strconv"
	"strings"
)

// Constants of the kernel, the same for all programs that a Decoder knows.
const (
	ipcNoWait = 0o4000
	ipc64     = 0x100 // in the command of old calls
	ipcRmid   = 0
	ipcSet    = 1
	ipcStat   = 2
	ipcInfo   = 3
	shmInfo   = 14
	getPid    = 11
	getAll    = 13
	getZcnt   = 15
	setVal    = 16
	setAll    = 17
	semInfo   = 19
	msgInfo   = 12
)

func shmgetSpec() *spec {
	return &spec{name: "shmget", exit: exitGet("shm"), enter: func(c *decoding) bool {
		c.enterKey()
		c.arg(strconv.FormatUint(c.args[1], 10))
		const shift, hugeMask = 26, 0x3f << 26
		f := uint64(uint32(c.args[2]))
		text := withMode(f&^hugeMask, shmgetFlags())
		if huge := f & hugeMask >> shift; huge != 0 {
			text = strconv.FormatUint(huge, 10) + "<<SHM_HUGE_SHIFT|" + text
		}
		c.arg(text)
		return true
	}}
}

func semgetSpec() *spec {
	return &spec{name: "semget", exit: exitGet("sem"), enter: func(c *decoding) bool {
		c.enterKey()
		c.arg(signed(c.args[1]))
		c.arg(withMode(uint64(uint32(c.args[2])), getFlags()))
		return true
	}}
}

func msggetSpec() *spec {
	return &spec{name: "msgget", exit: exitGet("msg"), enter: func(c *decoding) bool {
		c.enterKey()
		c.arg(withMode(uint64(uint32(c.args[1])), getFlags()))
		return true
	}}
}

func (c *decoding) enterKey() {
	c.Key = Key{uint32(c.args[0]), true}
	c.arg(keyText(c.args[0]))
}

func exitGet(kind string) func(*decoding) {
	return func(c *decoding) {
		switch {
		case c.Errno == 0:
			c.Object = identified(kind, uint64(c.Result))
		case c.Key.Value != 0:
			c.Object = Object{Kind: kind, Name: keyText(c.args[0])}
		}
	}
}

// enterID takes the first argument for the identifier of an object.
func (c *decoding) enterID(kind string) {
	c.Object = identified(kind, c.args[0])
	c.arg(signed(c.args[0]))
}

func shmatSpec() *spec {
	return &spec{name: "shmat", address: true, enter: func(c *decoding) bool {
		c.enterID("shm")
		c.arg(pointer(c.args[1]))
		c.arg(flags(uint64(uint32(c.args[2])), shmatFlags()))
		return true
	}, exit: func(c *decoding) {
		if c.address != 0 && c.Errno == 0 { // ipc(2) returns 0
			c.Result = int64(number(c.bytes(c.address, 4)))
		}
	}}
}

func shmdtSpec() *spec {
	return &spec{name: "shmdt", enter: func(c *decoding) bool {
		// After the call the mapping is gone.
		if m, ok := c.MappingAt(c.args[0]); ok {
			if o, ok := mappedObject(m); ok && o.Kind == "shm" {
				c.Object = o
			}
		}
		c.arg(pointer(c.args[0]))
		return true
	}}
}

func semopSpec(name string) *spec {
	return &spec{name: name, enter: func(c *decoding) bool {
		const most, size = 500, 6 // SEMOPM
		c.enterID("sem")
		n := uint64(uint32(c.args[2]))
		var b []byte
		if n <= most {
			b = c.bytes(c.args[1], int(n)*size)
		}
		for ; len(b) > 0; b = b[size:] {
			op := Sembuf{Num: uint16(number(b[:2])), Op: int16(number(b[2:4])), Flags: uint16(number(b[4:6]))}
			c.Ops = append(c.Ops, op)
			c.Waits = c.Waits || op.Op <= 0 && op.Flags&ipcNoWait == 0
		}
		if !c.plain {
			c.arg(opsText(c.Ops, c.args[1]))
			c.arg(strconv.FormatUint(n, 10))
		}
		if name != "semop" {
			c.arg(c.timespec(c.args[3], c.timeSize()))
		}
		return true
	}}
}

func opsText(ops []Sembuf, addr uint64) string {
	if len(ops) == 0 {
		return pointer(addr)
	}
	words := make([]string, len(ops))
	for i, op := range ops {
		words[i] = "{" + strconv.Itoa(int(op.Num)) + ", " + strconv.Itoa(int(op.Op)) + ", " + flags(uint64(op.Flags), semopFlags()) + "}"
	}
	return "[" + strings.Join(words, ", ") + "]"
}

func semctlSpec() *spec {
	return &spec{name: "semctl", enter: func(c *decoding) bool {
		c.enterID("sem")
		c.arg(signed(c.args[1]))
		c.arg(choice(c.command(2), commands("sem")))
		switch command := c.command(2); command {
		case setVal:
			c.single = signed(c.args[1])
			c.arg(signed(c.args[3]))
		case ipcSet:
			c.arg(c.structure(c.args[3], setDS("sem_perm")))
		case ipcStat, ipcInfo, semInfo: // at the end
		default:
			if command >= getPid && command <= getZcnt && command != getAll {
				c.single = signed(c.args[1])
			}
			c.arg(pointer(c.args[3]))
		}
		return true
	}, exit: exitControl(3, 2, func(c *decoding, command uint64) *layout {
		switch {
		case command == ipcStat:
			return semDS(c.table)
		case command == ipcInfo || command == semInfo:
			return seminfo()
		}
		return nil
	})}
}

func shmctlSpec() *spec {
	return &spec{name: "shmctl", enter: enterControl("shm", setDS("shm_perm")), exit: exitControl(2, 1, func(_ *decoding, command uint64) *layout {
		switch command {
		case ipcStat:
			return shmDS()
		case ipcInfo:
			return shminfo()
		case shmInfo:
			return shmUse()
		}
		return nil
	})}
}

func msgctlSpec() *spec {
	return &spec{name: "msgctl", enter: enterControl("msg", setMsgDS()), exit: exitControl(2, 1, func(_ *decoding, command uint64) *layout {
		switch command {
		case ipcStat:
			return msgDS()
		case ipcInfo, msgInfo:
			return msginfo()
		}
		return nil
	})}
}

// command returns the argument that is a command.
func (c *decoding) command(i int) uint64 { return uint64(uint32(c.args[i]) &^ ipc64) }

// enterControl begins shmctl and msgctl. set is what IPC_SET changes.
func enterControl(kind string, set *layout) func(*decoding) bool {
	return func(c *decoding) bool {
		c.enterID(kind)
		command := c.command(1)
		c.arg(choice(command, commands(kind)))
		switch {
		case command == ipcSet:
			c.arg(c.structure(c.args[2], set))
		case command == ipcStat, command == ipcInfo, kind == "shm" && command == shmInfo, kind == "msg" && command == msgInfo: // at the end
		default:
			c.arg(pointer(c.args[2]))
		}
		return true
	}
}

// exitControl completes a call whose argument buf the kernel fills if command is one that
// of returns a layout for.
func exitControl(buf, command int, of func(*decoding, uint64) *layout) func(*decoding) {
	return func(c *decoding) {
		l := of(c, c.command(command))
		if l == nil {
			return
		}
		// Without IPC_64 the old calls fill a structure of the kernels before 2.4.
		if c.Errno != 0 || c.byIPC && c.args[command]&ipc64 == 0 {
			c.arg(pointer(c.args[buf]))
			return
		}
		c.arg(c.structure(c.args[buf], l))
	}
}

func msgsndSpec() *spec {
	return &spec{name: "msgsnd", enter: func(c *decoding) bool {
		c.enterID("msg")
		c.arg(c.message(c.args[2]))
		c.arg(strconv.FormatUint(c.args[2], 10))
		c.arg(flags(uint64(uint32(c.args[3])), msgFlags()))
		c.Waits = c.args[3]&ipcNoWait == 0
		return true
	}}
}

func msgrcvSpec() *spec {
	return &spec{name: "msgrcv", enter: func(c *decoding) bool {
		c.enterID("msg")
		c.Waits = c.args[4]&ipcNoWait == 0
		return true
	}, exit: func(c *decoding) {
		if c.Errno == 0 {
			c.arg(c.message(uint64(c.Result)))
		} else {
			c.arg(pointer(c.args[1]))
		}
		c.arg(strconv.FormatUint(c.args[2], 10))
		c.arg(strconv.FormatInt(c.long(3), 10))
		c.arg(flags(uint64(uint32(c.args[4])), msgFlags()))
	}}
}

// message returns the text of a struct msgbuf with size bytes of text.
func (c *decoding) message(size uint64) string {
	if c.plain {
		return ""
	}
	addr, word := c.args[1], c.word()
	b := c.bytes(addr, word+int(min(size, quoteMax)))
	if b == nil {
		return pointer(addr)
	}
	kind := int64(number(b[:word]))
	if !c.table.wide {
		kind = int64(int32(kind))
	}
	return "{mtype=" + strconv.FormatInt(kind, 10) + ", mtext=" + quote(b[word:], size) + "}"
}

// enterIPC decodes ipc(2), which 32-bit programs use for the calls of System V.
func enterIPC(c *decoding) bool {
	version := c.args[0] >> 16
	s, order := multiplexed(c.args[0] & 0xffff)
	if s == nil {
		return false
	}
	from := c.args
	c.args, c.Name, c.spec, c.byIPC = [6]uint64{}, s.name, s, true
	for i, n := range order {
		c.args[i] = from[n]
	}
	switch s.name {
	case "semctl": // ptr points to the union
		c.args[3] = number(c.bytes(from[4], 4))
	case "shmat":
		c.address = from[3]
	case "msgrcv":
		if version == 0 { // ptr points to the address of the message and its type
			b := c.bytes(from[4], 8)
			if b == nil {
				return false
			}
			c.args[1], c.args[3] = number(b[:4]), number(b[4:])
		}
	}
	return s.enter(c)
}
