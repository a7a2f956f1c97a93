package inventory

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// countingCalls collects, and returns how many calls on /proc it took.
func countingCalls(t *testing.T, o Options) (inv *Inventory, calls int) {
	t.Helper()
	var n atomic.Int64
	o.fault = func(string, string) ([]byte, error) {
		n.Add(1)
		return nil, nil
	}
	inv = collectAll(t, o)
	return inv, int(n.Load())
}

// newCrowd starts processes of testdata/crowd.c as a user. The file is a POSIX object.
func newCrowd(t *testing.T, program string, credential *syscall.Credential, args ...any) *ipctest.Process {
	t.Helper()
	argv := append([]string{program}, words(args)...)
	if credential != nil {
		argv = append([]string{"setpriv", "--reuid", strconv.Itoa(int(credential.Uid)), "--regid", strconv.Itoa(int(credential.Gid)), "--clear-groups"}, argv...)
	}
	p := ipctest.Run(t, argv[0], argv[1:]...)
	p.Line()
	return p
}

// shown makes a POSIX object that everybody may read, and returns its file.
func shown(t *testing.T, name string) string {
	t.Helper()
	o, err := posix.CreateObject(name, 4096, &posix.ObjectOptions{Mode: 0o644})
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	t.Cleanup(func() { _ = posix.UnlinkObject(name) })
	return filepath.Join("/dev/shm", name)
}

// TestSharedIsReadOnce: an address space and a table of descriptors are read once, however
// many processes share them, and each of these gets what is in them.
func TestSharedIsReadOnce(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	program := ipctest.Compile(t, "testdata/crowd.c", "-pthread")
	file := shown(t, "/gipc-crowd")
	o := Options{Kinds: []ref.Kind{ref.PShm}, Want: WantOpen}
	_, alone := countingCalls(t, o)
	const processes, mappings, descriptors = 60, 3000, 2000
	crowd := newCrowd(t, program, nil, processes, mappings, descriptors, 0, file, "shared")
	inv, calls := countingCalls(t, o)
	// Two scanners may each begin before the other has read it.
	const each, scanners = 2*procfs.SpendEvery + 100, 2
	if most := alone + 500 + processes*each + scanners*(mappings+3*descriptors); calls > most {
		t.Errorf("%d calls, and %d without the crowd; want at most %d", calls, alone, most)
	}
	object := findPOSIX(t, inv, ref.PShm, "/gipc-crowd")
	if n := len(object.Use.Mapped); n != processes+1 || len(object.Use.Open) != n {
		t.Errorf("%d processes map it, and %d have it open; want %d", n, len(object.Use.Open), processes+1)
	}
	for i, m := range object.Use.Mapped {
		if m.Mappings != mappings || object.Use.Open[i].Descriptors != descriptors+1 {
			t.Fatalf("%+v, %+v", m, object.Use.Open[i])
		}
	}
	crowd.Kill()
}

// TestCostlyUser: an ordinary user can make gipcs do only a limited amount of work.
// Processes beyond that count as hidden; root's never do.
func TestCostlyUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	ipctest.NeedOtherUsers(t)
	program := ipctest.Compile(t, "testdata/crowd.c", "-pthread")
	file := shown(t, "/gipc-crowd")
	createQueue(t, sysv.Private, 0o600)
	o := Options{Kinds: []ref.Kind{ref.PShm, ref.Msg}, Want: WantOpen | WantWaiting}
	_, alone := countingCalls(t, o)
	const processes = 40
	for _, tt := range []struct {
		what                           string
		mappings, descriptors, threads int
		each, most                     int // calls for each process, and for what the user may cost
	}{
		{"mappings", 8_000, 0, 0, 2 * procfs.SpendEvery, userShare},
		{"descriptors", 0, 3_000, 0, 2 * procfs.SpendEvery, userShare},
		{"threads", 0, 0, 200, 2 * procfs.SpendEvery, userShare},
	} {
		for _, user := range []*syscall.Credential{nobody, nil} {
			p := newCrowd(t, program, user, processes, tt.mappings, tt.descriptors, tt.threads, file)
			inv, calls := countingCalls(t, o)
			hidden := 0
			for _, h := range inv.Hidden.Processes {
				if errors.Is(h.Why, errTooCostly) && h.Comm == "crowd" {
					hidden++
				}
			}
			switch {
			case user == nil && hidden > 0:
				t.Errorf("%s: %d processes of root are hidden", tt.what, hidden)
			case user != nil && hidden < processes/2:
				t.Errorf("%s: %d of %d processes are hidden: %v", tt.what, hidden, processes, &inv.Hidden)
			case user != nil && calls > alone+1000+processes*(tt.each+processShare+100)+tt.most:
				t.Errorf("%s: %d calls, and %d without the crowd", tt.what, calls, alone)
			}
			t.Logf("%s: %d calls, %d alone, %d hidden", tt.what, calls, alone, hidden)
			p.Kill()
		}
	}
}

// TestOnlyAsManyAsNeeded: the creator and the last user of a segment are looked at first,
// and no process is looked at once all attachments are found.
func TestOnlyAsManyAsNeeded(t *testing.T) {
	program := ipctest.Compile(t, "testdata/crowd.c", "-pthread")
	segment := createSegment(t, sysv.Private, 4096, 0o600)
	for range 2 {
		newCrowd(t, program, nil, 10, 0, 0, 0, "/dev/null")
	}
	attacher := start(t, "attach", nil, "rw", int(segment))
	for range 2 {
		newCrowd(t, program, nil, 10, 0, 0, 0, "/dev/null")
	}
	var mu sync.Mutex
	opened := make(map[string]bool)
	inv := collectAll(t, Options{Kinds: []ref.Kind{ref.Shm}, Want: WantAttached, fault: func(call, name string) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if pid, ok := strings.CutSuffix(name, "/maps"); ok && call == "openat" && pid != "self" {
			opened[pid] = true
		}
		return nil, nil
	}})
	o := find(t, inv, ref.Shm, int(segment))
	if len(o.Use.Attached) != 1 || o.Use.Attached[0].PID != attacher.PID() || o.Use.HiddenAttachments != 0 {
		t.Error(dump(o))
	}
	if len(opened) > 5 {
		t.Errorf("%d processes were looked at for one attachment", len(opened))
	}
}

// TestGiantSets: only a limited number of semaphores is read for one user.
func TestGiantSets(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	giants := ipctest.Start(t, "make giants", nobody, "3", "20000")
	var ids []int
	for range 3 {
		ids = append(ids, numbers([]string{giants.Line()})...)
	}
	for _, id := range ids {
		t.Cleanup(func() { remove(t, sysv.Set(id)) })
	}
	inv := collectAll(t, Options{Kinds: []ref.Kind{ref.Sem}, Want: WantVerdict})
	read := 0
	for _, id := range ids {
		o := find(t, inv, ref.Sem, id)
		switch {
		case len(o.Use.Semaphores) == 20_000 && o.Use.Unread == nil:
			read++
		case o.Use.Semaphores != nil || !errors.Is(o.Use.Unread, errTooManySemaphores) || o.Use.Verdict != Unknown ||
			!strings.Contains(o.Use.Reasons[0].Text, errTooManySemaphores.Error()):
			t.Errorf("%v, %+v", o.Use.Unread, o.Use.Reasons)
		}
	}
	if read != 1 {
		t.Errorf("%d of 3 sets were read", read)
	}
	giants.Tell("go")
}

// playMakeGiants makes sets of many semaphores.
func playMakeGiants(args []string) error {
	n := numbers(args)
	for range n[0] {
		set, err := sysv.CreateSet(sysv.Private, n[1], nil)
		if err != nil {
			return err
		}
		fmt.Println(int(set))
	}
	ipctest.Told()
	return nil
}

// TestWhoMayWait: a waiter comes with its own credentials, without capabilities from a user
// namespace that have no effect here. A process stopped by a tracer is no waiter.
func TestWhoMayWait(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	ipctest.NeedOtherUsers(t)
	queue := createQueue(t, sysv.Private, 0o666)
	root := start(t, "receive", nil, int(queue), 8, 0, 0)
	other := start(t, "receive", nobody, int(queue), 8, 0, 0)
	apart := startApart(t, "receive", []string{"unshare", "--user", "--map-root-user"}, int(queue), 8, 0, 0)
	apart.Line()
	traced := ipctest.Run(t, ipctest.Compile(t, "testdata/traced.c"), strconv.Itoa(int(queue)))
	child := numbers([]string{traced.Line()})[0]
	inv := await(t, Options{Kinds: []ref.Kind{ref.Msg}, Want: WantWaiting}, waiting(ref.Msg, int(queue), 3))
	for _, w := range find(t, inv, ref.Msg, int(queue)).Use.Waiting {
		c := w.Credentials
		switch {
		case c == nil:
			t.Errorf("%d has no credentials", w.PID)
		case w.PID == root.PID() && (c.EUID() != 0 || c.Caps == 0),
			w.PID == other.PID() && (c.EUID() != nobody.Uid || c.GIDs[1] != nobody.Gid || c.Caps != 0 || len(c.Groups) != 0),
			w.PID == apart.PID() && (c.EUID() != 0 || c.Caps != 0),
			w.PID == child:
			t.Errorf("%s", dump(w))
		}
	}
	i := slices.IndexFunc(inv.Hidden.Processes, func(h HiddenProcess) bool { return h.PID == child })
	if i < 0 || inv.Hidden.Processes[i].Threads != 1 || !errors.Is(inv.Hidden.Processes[i].Why, errTraced) {
		t.Errorf("the one that is stopped, %d: %v", child, &inv.Hidden)
	}
	apart.Kill()
	traced.Kill()
}

// writeTables writes an ELF file of a user with a table of symbol names of the given size,
// which takes no room on disk.
func writeTables(t *testing.T, size, owner int) (path string) {
	t.Helper()
	const header, section = 64, 64
	path = filepath.Join(t.TempDir(), "tables")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	symbols := uint64(header + size)
	sections := []elf.Section64{
		{},
		{Type: uint32(elf.SHT_DYNSYM), Off: symbols, Size: elf.Sym64Size, Link: 2, Entsize: elf.Sym64Size},
		{Type: uint32(elf.SHT_STRTAB), Off: header, Size: uint64(size)},
	}
	head := elf.Header64{
		Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT), Ehsize: header,
		Shoff: symbols + elf.Sym64Size, Shentsize: section, Shnum: uint16(len(sections)), Shstrndx: 2,
	}
	copy(head.Ident[:], []byte{'\x7f', 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)})
	for at, part := range map[int64]any{0: head, int64(head.Shoff): sections} {
		if err := binary.Write(io.NewOffsetWriter(file, at), binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Chown(owner, owner); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCostlyFiles: only a limited amount of a user's files is read. Programs beyond that
// count as able to use everything.
func TestCostlyFiles(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	// A process can find a set by its key, however long after its last use it was started.
	server, set := prefork(t, ipctest.Compile(t, "testdata/prefork.c"), stranger, stranger, 0x1235)
	mapper := ipctest.Compile(t, "testdata/mapper.c")
	const size = 20 << 20 // each is read twice, since it holds the names of sections as well
	var files []string
	for range 5 {
		files = append(files, writeTables(t, size, stranger))
	}
	start := func(files ...string) *ipctest.Process {
		p := ipctest.Run(t, mapper, append([]string{fmt.Sprint(stranger)}, files...)...)
		p.Line()
		return p
	}
	few := start(files[:3]...)
	twice := start(files[:3]...) // each file is read once
	server.Kill()
	wantSet(t, set, Orphan, "not-waiting process-gone age")
	many := start(files[3:]...)
	wantSet(t, set, Unknown, "not-waiting process-gone owner-alive age")
	for _, p := range []*ipctest.Process{few, twice, many} {
		p.Kill()
	}
	wantSet(t, set, Orphan, "not-waiting process-gone age")
}
