package inventory

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// A Program is the program that an object probably belongs to.
type Program struct {
	Name string
	// Sure is set if the object's contents or the program's own records name it. Otherwise
	// only marks match, such as the name of a process.
	Sure    bool
	Reasons []string // for people; may contain unescaped names of processes
	// DataDir is the data directory of a PostgreSQL server, or "" if unknown.
	DataDir string
}

// A hint is one mark of a program.
type hint struct {
	program string
	sure    bool
	reason  string
	dataDir string
}

// combine returns the Program of the first sure hint, or else of the first hint.
func combine(hints []hint) *Program {
	if len(hints) == 0 {
		return nil
	}
	best := hints[0]
	for _, h := range hints {
		if h.sure {
			best = h
			break
		}
	}
	p := &Program{Name: best.program}
	for _, h := range hints {
		if h.program != p.Name {
			continue
		}
		p.Sure = p.Sure || h.sure
		p.Reasons = append(p.Reasons, h.reason)
		if p.DataDir == "" {
			p.DataDir = h.dataDir
		}
	}
	return p
}

const postgresProgram = "PostgreSQL"

// product returns the program to which a process of this name seems to belong, or "" if
// only the name itself is known.
func product(comm string) string {
	if p, ok := products[comm]; ok {
		return p
	}
	for _, p := range [...]struct{ prefix, program string }{
		{"zabbix_", "Zabbix"},
		{"php", "PHP"},
		{"uwsgi", "uWSGI"},
		{"ora_", "Oracle Database"},
		{"oracle_", "Oracle Database"},
		{"disp+work", "SAP"},
		{"squid", "Squid"},
		{"vllm", "vLLM"},
		{"VLLM", "vLLM"},
		{"sglang", "SGLang"},
		{"iox-", "iceoryx"},
		{"aeronmd", "Aeron"},
	} {
		if strings.HasPrefix(comm, p.prefix) {
			return p.program
		}
	}
	return ""
}

var products = map[string]string{
	"postgres": postgresProgram, "postmaster": postgresProgram,
	"faked": "fakeroot", "faked-sysv": "fakeroot",
	"apache2": "Apache httpd", "httpd": "Apache httpd",
	"gpsd": "gpsd", "chronyd": "chronyd", "ntpd": "ntpd",
	"db2sysc": "Db2", "db2wdog": "Db2",
	"oninit":  "Informix",
	"orterun": "Open MPI", "prterun": "Open MPI", "prte": "Open MPI", "orted": "Open MPI", "prted": "Open MPI",
	"jackd": "JACK", "jackdbus": "JACK",
	"corosync": "Corosync", "pacemakerd": "Pacemaker",
	"pkcsslotd": "openCryptoki",
	"memcached": "memcached", "asterisk": "Asterisk", "atopacctd": "atop", "firebird": "Firebird",
}

// isServer reports whether comm is the name of a server whose workers come and go, and may
// create or use objects of any kind meanwhile. Any user can give a process such a name, so
// the name may keep an object but proves nothing.
func isServer(comm string) bool {
	switch product(comm) {
	case postgresProgram, "fakeroot", "Apache httpd", "PHP", "uWSGI", "Zabbix", "Oracle Database", "SAP", "Squid", "Db2", "Informix", "Firebird":
		return true
	}
	return false
}

func isXServer(comm string) bool {
	switch comm {
	case "X", "Xorg", "Xorg.bin", "Xwayland", "Xvfb", "Xephyr", "Xnest", "Xvnc", "Xtigervnc":
		return true
	}
	return false
}

// users returns the living processes that use the object or used it last, each once, and
// what each of them does.
func (u *Use) users() (processes []*Process, does []string) {
	seen := make(map[int]bool)
	add := func(p *Process, what string) {
		if p != nil && !seen[p.PID] {
			seen[p.PID] = true
			processes, does = append(processes, p), append(does, what)
		}
	}
	for _, a := range u.Attached {
		add(a.Process, "is attached")
	}
	for _, m := range u.Mapped {
		add(m.Process, "maps it")
	}
	for _, o := range u.Open {
		add(o.Process, "has it open")
	}
	for _, w := range u.Waiting {
		add(w.Process, "waits on it")
	}
	for _, a := range u.Actors {
		if a.State == Alive {
			add(a.Process, "is "+a.title())
		}
	}
	return processes, does
}

// processHints returns hints from the names of processes that use the object: named for
// known programs, others for all others. Any user can give a process any name, so none of
// them is sure.
func processHints(u *Use) (named, others []hint) {
	processes, does := u.users()
	for i, p := range processes {
		if isXServer(p.Comm) && len(u.Attached) > 0 {
			return []hint{{program: "X11 (MIT-SHM)", reason: p.name() + " " + does[i]}}, nil
		}
	}
	uses := make(map[string]int)
	for i, p := range processes {
		program := product(p.Comm)
		list := &named
		if program == "" {
			program, list = p.Comm, &others
		}
		if uses[program]++; uses[program] == 1 {
			*list = append(*list, hint{program: program, reason: p.name() + " " + does[i]})
		}
	}
	for _, list := range [][]hint{named, others} {
		for i := range list {
			if more := uses[list[i].program] - 1; more > 0 {
				list[i].reason += fmt.Sprintf(", and %d more of its processes use it", more)
			}
		}
	}
	return named, others
}

// keyHints returns hints from keys that known programs use.
func keyHints(o *Object) []hint {
	perm := o.Perm()
	if o.Kind != ref.Shm {
		return nil
	}
	const (
		ntp  = 0x4e545030 // "NTP0"; the last character is the number of the receiver
		gpsd = 0x47505344 // "GPSD"
		// struct shmTime has 96 bytes if longs have 64 bits, otherwise 80.
		shmTime64, shmTime32 = 96, 80
	)
	switch key := uint32(perm.Key); {
	case key >= ntp && key < ntp+16 && (o.Segment.Size == shmTime64 || o.Segment.Size == shmTime32):
		return []hint{{
			program: "NTP reference clock (gpsd, chronyd, ntpd)", sure: true,
			reason: fmt.Sprintf("key %v is that of receiver %d, and the size is that of its structure", perm.Key, key-ntp),
		}}
	case key == gpsd:
		return []hint{{program: "gpsd", reason: `the key reads "GPSD"`}}
	}
	return nil
}

// apacheHint recognises the semaphores with which httpd serialises its children.
func apacheHint(o *Object) []hint {
	perm := o.Perm()
	if o.Kind != ref.Sem || o.Set.NSems != 1 || perm.Key != sysv.Private || perm.Mode != 0o600 || perm.CUID != 0 || perm.UID == 0 {
		return nil
	}
	return []hint{{
		program: "Apache httpd",
		reason:  fmt.Sprintf("one semaphore without a key that root made and gave to user %d with mode 0600, as httpd does for its mutexes", perm.UID),
	}}
}

// fakerootKeys finds the two queues and the set that faked(1) creates under three
// consecutive keys, and returns the first key of each such group.
func fakerootKeys(objects []Object) map[sysv.Key]bool {
	type place struct {
		kind ref.Kind
		key  sysv.Key
	}
	owners := make(map[place]uint32)
	for i := range objects {
		if o := &objects[i]; mayBeFakeroots(o) {
			owners[place{o.Kind, o.Perm().Key}] = o.Perm().CUID
		}
	}
	first := make(map[sysv.Key]bool)
	for p, uid := range owners {
		if p.kind != ref.Msg {
			continue
		}
		second, ok1 := owners[place{ref.Msg, p.key + 1}]
		set, ok2 := owners[place{ref.Sem, p.key + 2}]
		if ok1 && ok2 && second == uid && set == uid {
			first[p.key] = true
		}
	}
	return first
}

func fakerootHint(o *Object, first map[sysv.Key]bool) []hint {
	key := o.Perm().Key
	for offset := sysv.Key(0); offset < 3; offset++ {
		if first[key-offset] && (o.Kind == ref.Sem) == (offset == 2) && o.Kind != ref.Shm {
			return []hint{{
				program: "fakeroot",
				reason:  fmt.Sprintf("two queues and a set of one owner have the keys %v, %v and %v, as faked makes them", key-offset, key-offset+1, key-offset+2),
			}}
		}
	}
	return nil
}

// A naming describes how a program names its POSIX objects.
type naming struct {
	kind    ref.Kind
	prefix  string
	rest    string // characters of the rest of the name; "" means any
	program string
	// served means that while a server of the program runs, its processes may open an
	// object by name again even though nobody has it open.
	served bool
}

// namingOf returns the naming of an object, or the zero naming if it is unknown.
func namingOf(o *Object) naming {
	const digits = "0123456789"
	for _, n := range [...]naming{
		{kind: ref.PShm, prefix: "/PostgreSQL.", rest: digits, program: postgresProgram, served: true},
		{kind: ref.PShm, prefix: "/var.lib.opencryptoki.", program: "openCryptoki", served: true},
		{kind: ref.PShm, prefix: "/psm_", rest: "0123456789abcdef", program: "Python (multiprocessing.shared_memory)"},
		{kind: ref.PSem, prefix: "/mp-", rest: "abcdefghijklmnopqrstuvwxyz0123456789_", program: "Python (multiprocessing)"},
		{kind: ref.PShm, prefix: "/torch_", rest: digits + "_", program: "PyTorch"},
		{kind: ref.PShm, prefix: "/pulse-shm-", rest: digits, program: "PulseAudio"},
		{kind: ref.PShm, prefix: "/.org.chromium.Chromium.", program: "Chromium"},
		{kind: ref.PShm, prefix: "/.com.google.Chrome.", program: "Chrome"},
		{kind: ref.PShm, prefix: "/lttng-ust-", program: "LTTng"},
		{kind: ref.PShm, prefix: "/vader_segment.", program: "Open MPI"},
		{kind: ref.PShm, prefix: "/nccl-", program: "NCCL"},
	} {
		rest, ok := strings.CutPrefix(o.File().Name, n.prefix)
		if ok && o.Kind == n.kind && rest != "" && (n.rest == "" || strings.Trim(rest, n.rest) == "") {
			return n
		}
	}
	return naming{}
}

// nameHints returns hints from names that known programs give POSIX objects.
func nameHints(o *Object) []hint {
	n := namingOf(o)
	if n.program == "" {
		return nil
	}
	return []hint{{program: n.program, reason: "its name begins with " + n.prefix + ", as that program's do"}}
}

// headerSize is how many bytes of a segment contentHints needs.
const headerSize = 64

// pgHeader is the beginning of PGShmemHeader. Its layout is the same in PostgreSQL 9.4 to
// 17.
type pgHeader struct {
	creatorPID int
	dev, inode uint64 // of the data directory
}

// parsePgHeader parses the header of a segment created by a server of this program's word
// size:
//
//	int32 magic, creator pid; size total; size free offset; uint32 dsm handle;
//	pointer; dev_t; ino_t
func parsePgHeader(b []byte, word int) (h pgHeader, ok bool) {
	const magic = 679834894
	order := binary.NativeEndian
	need, dev := 56, 40
	if word == 4 {
		need, dev = 40, 24
	}
	if len(b) < need || order.Uint32(b) != magic {
		return h, false
	}
	h.creatorPID = int(int32(order.Uint32(b[4:])))
	h.dev = order.Uint64(b[dev:])
	h.inode = wordAt(b[dev+8:], word)
	return h, h.creatorPID > 0
}

func wordAt(b []byte, word int) uint64 {
	if word == 4 {
		return uint64(binary.NativeEndian.Uint32(b))
	}
	return binary.NativeEndian.Uint64(b)
}

// contentHints returns hints from the first bytes of a segment.
func contentHints(b []byte, dirs []dataDir) []hint {
	if bytes.HasPrefix(b, []byte("PHP_SM\x00\x00")) {
		return []hint{{program: "PHP", sure: true, reason: `it begins with "PHP_SM", the mark of the extension sysvshm`}}
	}
	h, ok := parsePgHeader(b, strconv.IntSize/8)
	if !ok {
		return nil
	}
	found := hint{program: postgresProgram, sure: true, reason: fmt.Sprintf(
		"it begins with PostgreSQL's magic number, creator %d, data directory inode %d on device %d:%d",
		h.creatorPID, h.inode, major(h.dev), minor(h.dev))}
	for _, d := range dirs {
		if d.dev == h.dev && d.inode == h.inode {
			found.dataDir = d.path
			found.reason += ", which is " + d.path
			break
		}
	}
	return []hint{found}
}

// major and minor split a dev_t as Linux does.
func major(dev uint64) uint64 { return dev>>8&0xfff | dev>>32&0xfffff000 }
func minor(dev uint64) uint64 { return dev&0xff | dev>>12&0xffffff00 }

// A dataDir is a directory in which a PostgreSQL server may keep its data.
type dataDir struct {
	path       string
	dev, inode uint64
	uid        uint32
	pids       []int // processes whose working directory it is, if it is known only from them
	postmaster postmaster
}

// A postmaster holds the contents of postmaster.pid. It is zero if there is no such file.
type postmaster struct {
	pid int
	key sysv.Key
	id  int
}

// parsePostmaster parses postmaster.pid: the process id on the first line, and the key and
// identifier of the segment on the seventh.
func parsePostmaster(b []byte) (p postmaster, ok bool) {
	all := strings.Split(string(b), "\n")
	if len(all) < 7 {
		return p, false
	}
	pid, err := strconv.ParseInt(strings.TrimSpace(all[0]), 10, 32)
	fields := strings.Fields(all[6])
	if err != nil || len(fields) != 2 {
		return p, false
	}
	key, err1 := strconv.ParseUint(fields[0], 10, 64)
	id, err2 := strconv.ParseInt(fields[1], 10, 32)
	if err1 != nil || err2 != nil || pid == 0 || id < 0 {
		return p, false
	}
	if pid < 0 { // a server in single-user mode
		pid = -pid
	}
	return postmaster{int(pid), sysv.Key(uint32(key)), int(id)}, true
}

// postgresHints compares a segment with data directories.
func postgresHints(o *Object, dirs []dataDir) (hints []hint) {
	if o.Kind != ref.Shm {
		return nil
	}
	perm := o.Perm()
	for _, d := range dirs {
		switch {
		case d.uid != perm.CUID:
		case d.names(o):
			hints = append(hints, hint{
				program: postgresProgram, sure: len(d.pids) == 0, dataDir: d.path,
				reason: fmt.Sprintf("postmaster.pid in %s names its key and identifier", d.path),
			})
		case d.postmaster.pid != 0 && o.Use.attachedAny(d.pids):
			hints = append(hints, hint{
				program: postgresProgram, dataDir: d.path,
				reason: "a process that is attached runs in " + d.path,
			})
		case perm.Key != sysv.Private && uint32(perm.Key) == uint32(d.inode) && d.postmaster.pid != 0:
			hints = append(hints, hint{
				program: postgresProgram, dataDir: d.path,
				reason: fmt.Sprintf("its key is the inode number of %s", d.path),
			})
		}
	}
	const interlock = 56 // bytes of the segment that a 64-bit server makes, whatever its shared_memory_type
	if len(hints) == 0 && o.Segment.Size == interlock && perm.Key != sysv.Private && perm.Mode == 0o600 {
		hints = append(hints, hint{program: postgresProgram, reason: "56 bytes under a key with mode 0600, as every server makes it"})
	}
	return hints
}

// names reports whether postmaster.pid in d names o as the segment of its server.
func (d *dataDir) names(o *Object) bool {
	perm := o.Perm()
	key := d.postmaster.key == perm.Key || perm.Key == sysv.Private && o.Segment.Dest
	return d.postmaster.pid != 0 && d.uid == perm.CUID && key && d.postmaster.id == o.ID()
}

func (u *Use) attachedAny(pids []int) bool {
	return slices.ContainsFunc(u.Attached, func(a Attacher) bool { return slices.Contains(pids, a.PID) })
}

// An ftokFile is a file from which a program derives its keys with ftok(3).
type ftokFile struct {
	program, path string
	low           uint32 // the 24 bits of its keys that the file determines
}

func ftokHints(o *Object, files []ftokFile) (hints []hint) {
	key := uint32(o.Perm().Key)
	for _, f := range files {
		if key>>24 != 0 && key&0xffffff == f.low {
			hints = append(hints, hint{program: f.program, reason: "its key is one that ftok(3) makes of " + f.path})
		}
	}
	return hints
}
