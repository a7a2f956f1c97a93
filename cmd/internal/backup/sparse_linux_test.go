package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// sparse makes a segment with only a few pages in memory.
func sparse(t *testing.T, size int64, o *sysv.SegmentOptions, write map[int64]string) sysv.Segment {
	t.Helper()
	s, err := sysv.CreateSegment(0x5ba, size, o)
	if errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.EPERM) {
		t.Skipf("no segment of %d bytes can be made: %v", size, err)
	}
	check(t, err)
	t.Cleanup(func() { removeAll(t) })
	mem, err := s.Attach(nil)
	check(t, err)
	for at, text := range write {
		copy(mem.Bytes()[at:], text)
	}
	check(t, mem.Detach())
	return s
}

func wantContents(t *testing.T, write map[int64]string) {
	t.Helper()
	s, err := sysv.OpenSegment(0x5ba)
	check(t, err)
	mem, err := s.Attach(&sysv.AttachOptions{ReadOnly: true})
	check(t, err)
	defer mem.Detach()
	for at, text := range write {
		if got := string(mem.Bytes()[at:][:len(text)]); got != text {
			t.Errorf("at %d: %q, want %q", at, got, text)
		}
	}
}

// memoryOf returns how much of a segment is in memory.
func memoryOf(t *testing.T, s sysv.Segment) uint64 {
	t.Helper()
	m, err := segmentMemory(int(s))
	check(t, err)
	return m.Resident + m.Swapped
}

// TestSparseSegment: of a segment of 1 TiB, only the pages in use are read, saved and
// restored.
func TestSparseSegment(t *testing.T) {
	const size = 1 << 40
	write := map[int64]string{0: "first", size/2 + 5: "middle", size - 4: "last"}
	segment := sparse(t, size, &sysv.SegmentOptions{Mode: 0o600, NoReserve: true}, write)
	before := memoryOf(t, segment)
	s := newStore(t)
	began := time.Now()
	saved, err := s.Save(t.Context(), ref.Object{Kind: ref.Shm, ID: int(segment)})
	check(t, err)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("saving took %v", took)
	}
	if after := memoryOf(t, segment); after != before {
		t.Errorf("%d bytes are in memory, were %d before", after, before)
	}
	check(t, errors.Join(saved.Check(), segment.Remove(), saved.Removed()))
	made, err := restoreAll(s)
	if made != 1 || err != nil {
		t.Fatalf("made %d, %v", made, err)
	}
	again, err := sysv.OpenSegment(0x5ba)
	check(t, err)
	if after := memoryOf(t, again); after != before {
		t.Errorf("%d bytes are in memory of what was restored, were %d before", after, before)
	}
	wantContents(t, write)
}

// TestSparseObject does the same with a file of 7 EiB.
func TestSparseObject(t *testing.T) {
	const path, size = "/dev/shm/sparse", 7 << 60
	t.Cleanup(func() { removeAllSparse(t, path) })
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	check(t, err)
	_, err = f.WriteAt([]byte("text"), 3<<60)
	check(t, errors.Join(err, f.Truncate(size), f.Close()))
	s, o := newStore(t), ref.Object{Kind: ref.PShm, Name: "/sparse"}
	check(t, saveOne(s, o, true, unlink))
	if made, err := restoreAll(s); made != 1 || err != nil {
		t.Fatalf("made %d, %v", made, err)
	}
	f, err = os.Open(path)
	check(t, err)
	defer f.Close()
	info, err := f.Stat()
	check(t, err)
	_, _, memory, err := identity(f)
	check(t, err)
	text := make([]byte, 4)
	if _, err := f.ReadAt(text, 3<<60); err != nil || string(text) != "text" || info.Size() != size || memory > 1<<20 {
		t.Errorf("%q, %v; %d bytes, %d in memory", text, err, info.Size(), memory)
	}
}

func removeAllSparse(t *testing.T, path string) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestHugePages needs an existing pool of huge pages.
func TestHugePages(t *testing.T) {
	pool, err := os.ReadFile("/proc/sys/vm/nr_hugepages")
	check(t, err)
	if strings.TrimSpace(string(pool)) == "0" {
		t.Skip("there are no huge pages: sysctl vm.nr_hugepages=8")
	}
	write := map[int64]string{5: "first", 5<<20 + 9: "later"}
	segment := sparse(t, 8<<20, &sysv.SegmentOptions{Mode: 0o600, NoReserve: true, HugePages: sysv.DefaultHugePages}, write)
	s := newStore(t)
	before := memoryOf(t, segment)
	saved, err := s.Save(t.Context(), ref.Object{Kind: ref.Shm, ID: int(segment)})
	check(t, err)
	if after := memoryOf(t, segment); after != before {
		t.Errorf("%d bytes are in memory, were %d before", after, before)
	}
	check(t, errors.Join(saved.Check(), segment.Remove(), saved.Removed()))
	if made, err := restoreAll(s); made != 1 || err != nil {
		t.Fatalf("made %d, %v", made, err)
	}
	wantContents(t, write)
	removeAll(t)
	segment = sparse(t, 1<<40, &sysv.SegmentOptions{Mode: 0o600, NoReserve: true, HugePages: sysv.DefaultHugePages}, map[int64]string{5: "x"})
	_, err = newStore(t).Save(t.Context(), ref.Object{Kind: ref.Shm, ID: int(segment)})
	wantError(t, "a TiB of huge pages", err, "the kernel does not tell which of its")
}

// playSavePart saves a segment and prints how much of it is in memory before and after.
func playSavePart(args []string) error {
	id, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	s, err := Create(args[1])
	if err != nil {
		return err
	}
	before, err := segmentMemory(id)
	if err != nil {
		return err
	}
	if err := saveOne(s, ref.Object{Kind: ref.Shm, ID: id}, false, nil); err != nil {
		return err
	}
	after, err := segmentMemory(id)
	fmt.Println(before.Resident, after.Resident)
	return errors.Join(err, s.Close())
}

// TestSparseWithoutRights: an ordinary user saves a segment whose file only root may
// open.
func TestSparseWithoutRights(t *testing.T) {
	if !several() {
		t.Skip("needs two users")
	}
	const size, page = 64 << 20, 4096
	write := map[int64]string{0: "first", 33 << 20: "middle", size - 4: "last"}
	segment := sparse(t, size, nil, write)
	check(t, segment.SetOwnership(sysv.Ownership{UID: nobody.Uid, GID: nobody.Gid, Mode: 0o600}))
	dir := t.TempDir()
	check(t, os.Chmod(filepath.Dir(dir), 0o755))
	check(t, os.Chown(dir, int(nobody.Uid), int(nobody.Gid)))
	got := ipctest.Start(t, "save part", nobody, strconv.Itoa(int(segment)), dir+"/backup").Wait()
	if want := fmt.Sprintf("%d %d\n", 3*page, 3*page); os.Getpagesize() == page && got != want {
		t.Errorf("in memory before and after: %q, want %q", got, want)
	}
	check(t, os.Chown(dir+"/backup", os.Geteuid(), os.Getegid()))
	for _, name := range []string{".json", ".data"} {
		check(t, os.Chown(fmt.Sprintf("%s/backup/shm-%d%s", dir, segment, name), os.Geteuid(), os.Getegid()))
	}
	check(t, segment.Remove())
	s, err := Open(dir + "/backup")
	check(t, err)
	defer s.Close()
	if made, err := restoreAll(s); made != 1 || err != nil {
		t.Fatalf("made %d, %v", made, err)
	}
	wantContents(t, write)
}

// playHold attaches a segment or opens an object, and holds it until told to stop.
func playHold(args []string) error {
	if id, err := strconv.Atoi(args[0]); err == nil {
		if _, err := sysv.Segment(id).Attach(nil); err != nil {
			return err
		}
	} else if _, err := os.Open(args[0]); err != nil {
		return err
	}
	fmt.Println("held")
	ipctest.Told()
	return nil
}

// TestInUse: an object that is in use is not saved, and leaves nothing in the backup.
func TestInUse(t *testing.T) {
	makeNamed(t, "/x")
	me := own(0o600)
	makeSegment(t, 1, 100, false, me, nil)
	t.Cleanup(func() { removeAll(t) })
	segment, err := sysv.OpenSegment(1)
	check(t, err)
	s := newStore(t)
	for o, file := range map[ref.Object]string{
		{Kind: ref.Shm, ID: int(segment)}: strconv.Itoa(int(segment)),
		{Kind: ref.PShm, Name: "/x"}:      "/dev/shm/x",
		{Kind: ref.PSem, Name: "/x"}:      "/dev/shm/sem.x",
		{Kind: ref.PMsg, Name: "/x"}:      "/dev/mqueue/x",
	} {
		p := ipctest.Start(t, "hold", nil, file)
		p.Line()
		if _, err := s.Save(t.Context(), o); !errors.Is(err, ErrUsed) {
			t.Errorf("%v: %v, want ErrUsed", o, err)
		}
		p.Kill()
	}
	if files, err := os.ReadDir(s.dir); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// TestLateUse: a process uses an object after the last check.
func TestLateUse(t *testing.T) {
	t.Cleanup(func() { removeAll(t) })
	makeSegment(t, 0x5ba, 10000, false, own(0o600), map[int64]string{0: "early"})
	segment, err := sysv.OpenSegment(0x5ba)
	check(t, err)
	s := newStore(t)
	saved, err := s.Save(t.Context(), ref.Object{Kind: ref.Shm, ID: int(segment)})
	check(t, errors.Join(err, saved.Check()))
	mem, err := segment.Attach(nil)
	check(t, err)
	copy(mem.Bytes()[5000:], "late")
	check(t, mem.Detach())
	late := saved.Check()
	// LPID is this process either way, so only the times can show it.
	if late != nil && !errors.Is(late, ErrUsed) {
		t.Error(late)
	}
	p := ipctest.Start(t, "hold", nil, strconv.Itoa(int(segment)))
	p.Line()
	if err := saved.Check(); !errors.Is(err, ErrUsed) {
		t.Errorf("attached by another process: %v", err)
	}
	check(t, segment.Remove())
	p.Kill()
	check(t, saved.Removed())
	if made, err := restoreAll(s); made != 1 || err != nil {
		t.Fatalf("made %d, %v", made, err)
	}
	wantContents(t, map[int64]string{0: "early", 5000: "late"})
}

// TestKept: an object that was saved but not removed is unchanged, and not in the
// backup.
func TestKept(t *testing.T) {
	makeAll(t)
	before := dump(t)
	s := newStore(t)
	files, err := named()
	check(t, err)
	for _, kind := range kinds {
		for o, err := range objects(kind) {
			check(t, err)
			files[ref.Object{Kind: kind, ID: o.id}] = ""
		}
	}
	for o := range files {
		saved, err := s.Save(t.Context(), o)
		check(t, err)
		check(t, errors.Join(saved.Check(), saved.Kept()))
	}
	if after := dump(t); !maps.Equal(before, after) {
		t.Errorf("%v, want %v", after, before)
	}
	if files, err := os.ReadDir(s.dir); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// TestDestroyed: Save refuses a segment that the kernel would destroy at the last detach.
func TestDestroyed(t *testing.T) {
	sysctl(t, "shm_rmid_forced", "1")
	segment, err := sysv.CreateSegment(0x5bb, 100, nil)
	check(t, err)
	defer segment.Remove()
	_, err = newStore(t).Save(t.Context(), ref.Object{Kind: ref.Shm, ID: int(segment)})
	wantError(t, "shm_rmid_forced", err, "kernel.shm_rmid_forced=1")
	if _, err := segment.Stat(); err != nil {
		t.Errorf("it is gone: %v", err)
	}
}

// TestFullDisk: a backup that does not fit fails before anything is written.
func TestFullDisk(t *testing.T) {
	t.Cleanup(func() { removeAll(t) })
	makeSegment(t, 0x5ba, 1<<20, false, own(0o600), map[int64]string{0: strings.Repeat("x", 1<<20)})
	segment, err := sysv.OpenSegment(0x5ba)
	check(t, err)
	dir := t.TempDir()
	check(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=700,size=512k"))
	t.Cleanup(func() { check(t, unix.Unmount(dir, 0)) })
	s, err := Create(dir)
	check(t, err)
	defer s.Close()
	_, err = s.Save(t.Context(), ref.Object{Kind: ref.Shm, ID: int(segment)})
	wantError(t, "a disk that is too small", err, fmt.Sprintf("its contents take 1048576 bytes, but %s has room for 524288", dir))
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// TestVersion1 restores a backup of format version 1.
func TestVersion1(t *testing.T) {
	t.Cleanup(func() { removeAll(t) })
	s := newStore(t)
	contents := make([]byte, 3*block+100)
	copy(contents[2*block+7:], "text")
	contents[len(contents)-1] = 'z'
	sum := sha256.Sum256(contents)
	entry := fmt.Sprintf(`{"version":1,"kind":"shm","id":5,"key":1466,"mode":384,"segment":{"size":%d,"locked":false,"sha256":%q}}`,
		len(contents), hex.EncodeToString(sum[:]))
	check(t, os.WriteFile(filepath.Join(s.dir, "shm-5.json"), frame([]byte(entry)), 0o600))
	check(t, os.WriteFile(filepath.Join(s.dir, "shm-5.data"), contents, 0o600))
	made, err := restoreAll(s)
	if made != 1 || err != nil {
		t.Fatalf("made %d, %v", made, err)
	}
	wantContents(t, map[int64]string{0: string(contents)})
	removeAll(t)
	for _, bad := range [][]byte{contents[:len(contents)-1], append(bytes.Clone(contents), 0)} {
		check(t, os.WriteFile(filepath.Join(s.dir, "shm-5.data"), bad, 0o600))
		_, err := restoreAll(s)
		wantError(t, "another size", err, "a different size or checksum")
	}
}
