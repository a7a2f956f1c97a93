package procfs

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFiles finds a file that this process maps and has open.
func TestFiles(t *testing.T) {
	page := os.Getpagesize()
	fd := must[int](t)(unix.MemfdCreate("gipc test", 0))
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(page)); err != nil {
		t.Fatal(err)
	}
	readOnly := must[int](t)(unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_CLOEXEC, 0))
	defer unix.Close(readOnly)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	device := DeviceOf(uint64(st.Dev))
	var want []FileMapping
	for _, m := range []struct{ prot, flags int }{
		{unix.PROT_READ, unix.MAP_SHARED}, {unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED}, {unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE},
	} {
		mem := must[[]byte](t)(unix.Mmap(fd, 0, page, m.prot, m.flags))
		defer unix.Munmap(mem)
		want = append(want, FileMapping{device, st.Ino, m.prot&unix.PROT_WRITE != 0, m.flags == unix.MAP_SHARED})
	}

	for _, textOnly := range []bool{false, true} {
		f := open(t, Root)
		f.textOnly = textOnly
		var got []FileMapping
		err := f.AllMappings(os.Getpid(), MapVisitor{Segment: func(m Mapping) { t.Errorf("a segment: %+v", m) }, File: func(m FileMapping) {
			if m.Device == device && m.Inode == st.Ino {
				got = append(got, m)
			}
		}})
		slices.SortFunc(got, byAccess)
		slices.SortFunc(want, byAccess)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("text only %v: %+v, %v\nwant %+v", textOnly, got, err, want)
		}
	}

	f := open(t, Root)
	found := make(map[int]bool)
	if err := f.Descriptors(os.Getpid(), func(d Descriptor) {
		if d.Device != device || d.Inode != st.Ino {
			return
		}
		read, write, err := f.Access(os.Getpid(), d.FD)
		if err != nil || !read {
			t.Errorf("Access of %d = %v, %v", d.FD, read, err)
		}
		found[d.FD] = write
	}, nil); err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || !found[fd] || found[readOnly] {
		t.Errorf("descriptors %v, want %d to write and %d not", found, fd, readOnly)
	}
}

func byAccess(a, b FileMapping) int {
	weight := func(m FileMapping) (n int) {
		if m.Writable {
			n++
		}
		if m.Shared {
			n += 2
		}
		return n
	}
	return weight(a) - weight(b)
}

func TestScanFiles(t *testing.T) {
	text := mapsText + "7f4bfe23c000-7f4bfe23e000 rw-s 00001000 00:1a 5        /dev/shm/a b (deleted)\n" +
		"7f4bfe23c000-7f4bfe23e000 rw-s 00001000 00:1a\nx\n\n7f4bfe23c000-7f4bfe23e000 rws 00001000 00:1a 6 /x\n"
	want := []FileMapping{
		{Device{0xfe, 0}, 1234, false, false},
		{Device{0, 1}, 1250, true, true},
		{Device{0, 1}, 5, false, true},
		{Device{0, 1}, 32774, true, true},
		{Device{0xfe, 0}, 99, true, false},
		{Device{0, 1}, 7, true, true},
		{Device{0, 0x1a}, 5, true, true},
	}
	var got []FileMapping
	if err := ScanFiles(strings.NewReader(text), make([]byte, 100), func(m FileMapping) { got = append(got, m) }); err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
}
