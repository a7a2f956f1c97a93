package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestParseMapsLine(t *testing.T) {
	const name = "/SYSV00001234 (deleted)"
	tests := []struct {
		line string
		want Mapping
		ok   bool
	}{
		{
			"7f4bfe23c000-7f4bfe23e000 r--s 00000000 00:01 32769                      " + name,
			Mapping{Start: 0x7f4bfe23c000, End: 0x7f4bfe23e000, Device: Device{0, 1}, ID: 32769, Key: 0x1234},
			true,
		},
		{
			"7f4bfe23c000-7f4bfe23e000 rw-s 00001000 00:01 0 " + name,
			Mapping{Start: 0x7f4bfe23c000, End: 0x7f4bfe23e000, Offset: 0x1000, Writable: true, Device: Device{0, 1}, Key: 0x1234},
			true,
		},
		{
			"40000000-40200000 rwxs 00000000 00:0f 2147483647 /SYSVffffffff (deleted)", // huge pages; key -1
			Mapping{Start: 0x40000000, End: 0x40200000, Writable: true, Device: Device{0, 15}, ID: 1<<31 - 1, Key: -1}, true,
		},
		{
			"40000000-40200000 -w-s 00000000 103:1a5 7 " + name,
			Mapping{Start: 0x40000000, End: 0x40200000, Writable: true, Device: Device{0x103, 0x1a5}, ID: 7, Key: 0x1234},
			true,
		},
		{line: "40000000-40200000 rw-p 00000000 00:01 7 " + name},                     // private
		{line: "40000000-40200000 rw-s 00000000 00:01 2147483648 " + name},            // no id
		{line: "40200000-40000000 rw-s 00000000 00:01 7 " + name},                     // backwards
		{line: "40000000-40200000 rw-s 00000000 00:01 7 /SYSV00001234"},               // a file
		{line: "40000000-40200000 rw-s 00000000 00:01 7 /SYSV0001234 (deleted)"},      // seven digits
		{line: "40000000-40200000 rw-s 00000000 00:01 7 /SYSV0000123g (deleted)"},     // no number
		{line: "40000000-40200000 rw-s 00000000 00:01 7 /tmp/SYSV00001234 (deleted)"}, // elsewhere
		{line: "40000000-40200000 rw-s 00000000 00:01 7 /tmp" + name},                 // elsewhere
		{line: "40000000-40200000 rw-s 00000000 00:01 7 " + name + " "},               // a longer name
		{line: "40000000-40200000 rw-s 00000000 00:01 7 " + name + " (deleted)"},      // a longer name
		{line: "40000000-40200000 rw-s 00000000 00:01 -7 " + name},                    // no number
		{line: "40000000-40200000 rw-s 00000000 00:100000000 7 " + name},              // no device
		{line: "10000000000000000-10000000000000001 rw-s 00000000 00:01 7 " + name},   // no address
		{line: "40000000-40200000 rw-s 00000000 00:01 99999999999999999999 " + name},  // no inode
		{line: name}, // nothing else
		{line: ""},   // nothing
		{line: "40000000-40200000 rw-s  00000000 00:01 7 " + name},                             // two blanks
		{line: "7f4bfe23b000-7f4bfe23c000 rw-s 00000000 00:01 1250 /dev/zero (deleted)"},       // shared memory
		{line: "7ffc017b1000-7ffc017d2000 rw-p 00000000 00:00 0                      [stack]"}, // memory
	}
	for _, tt := range tests {
		got, ok := ParseMapsLine([]byte(tt.line))
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("ParseMapsLine(%q) = %+v, %v\nwant %+v, %v", tt.line, got, ok, tt.want, tt.ok)
		}
	}
}

const mapsText = `55d0c0c6f000-55d0c0c9e000 r--p 00000000 fe:00 1234                       /usr/bin/bash
7f4bfe23b000-7f4bfe23c000 rw-s 00000000 00:01 1250                       /dev/zero (deleted)
7f4bfe23c000-7f4bfe23e000 r--s 00000000 00:01 5                          /SYSV00001234 (deleted)
7f4bfe23e000-7f4bfe240000 rw-s 00000000 00:01 32774                      /SYSV00000000 (deleted)
7f4bfe240000-7f4bfe242000 rw-p 00000000 fe:00 99                         /tmp/not /SYSV0000 here
7ffc017b1000-7ffc017d2000 rw-p 00000000 00:00 0                          [stack]
7f4bfe242000-7f4bfe244000 rw-s 00000000 00:01 7                          /SYSV00000001 (deleted)
`

func TestScanMaps(t *testing.T) {
	readers := map[string]func(io.Reader) io.Reader{
		"whole":      func(r io.Reader) io.Reader { return r },
		"bytes":      iotest.OneByteReader,
		"halves":     iotest.HalfReader,
		"end at end": iotest.DataErrReader,
	}
	for name, wrap := range readers {
		for _, text := range []string{mapsText, strings.TrimSuffix(mapsText, "\n")} {
			for _, size := range []int{100, 101, 150, 4096} {
				var ids []int
				err := ScanMaps(wrap(strings.NewReader(text)), make([]byte, size), func(m Mapping) { ids = append(ids, m.ID) })
				if want := []int{5, 32774, 7}; err != nil || !slices.Equal(ids, want) {
					t.Errorf("%s, buffer %d: %v, %v; want %v", name, size, ids, err, want)
				}
			}
		}
	}
}

func TestScanMapsLongLine(t *testing.T) {
	segment := "40000000-40200000 rw-s 00000000 00:01 %d /SYSV00000001 (deleted)\n"
	long := "40000000-40200000 rw-s 00000000 fe:00 9 /" + strings.Repeat("x", 500) + "/SYSV00000001 (deleted)\n"
	var ids []int
	r := iotest.HalfReader(strings.NewReader(fmt.Sprintf(segment, 1) + long + fmt.Sprintf(segment, 2) + strings.TrimSuffix(long, "\n")))
	err := ScanMaps(r, make([]byte, 128), func(m Mapping) { ids = append(ids, m.ID) })
	if err != nil || !slices.Equal(ids, []int{1, 2}) {
		t.Errorf("got %v, %v", ids, err)
	}
}

func TestScanMapsError(t *testing.T) {
	broken := errors.New("broken")
	r := io.MultiReader(strings.NewReader(mapsText), iotest.ErrReader(broken))
	n := 0
	if err := ScanMaps(r, make([]byte, 4096), func(Mapping) { n++ }); !errors.Is(err, broken) || n != 3 {
		t.Errorf("%d mappings, %v; want 3, broken", n, err)
	}
}

func TestScanMapsAllocatesNothing(t *testing.T) {
	r, buf := strings.NewReader(""), make([]byte, 4096)
	n := 0
	visit := func(Mapping) { n++ }
	if got := testing.AllocsPerRun(100, func() {
		r.Reset(mapsText)
		if err := ScanMaps(r, buf, visit); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// FuzzScanMaps compares the scanner, reading in pieces of any size, with parsing line
// by line.
func FuzzScanMaps(f *testing.F) {
	f.Add([]byte(mapsText), uint8(200))
	f.Add([]byte("/SYSV00000001 (deleted)\n\n/SYSV"), uint8(3))
	f.Add([]byte("1-2 rw-s 0 0:1 7 /SYSV00000001 (deleted)"), uint8(60))
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		if size == 0 {
			size = 1
		}
		var want, got []Mapping
		for line := range bytes.SplitSeq(text, []byte("\n")) {
			if m, ok := ParseMapsLine(line); ok && len(line) < int(size) {
				want = append(want, m)
			}
		}
		err := ScanMaps(bytes.NewReader(text), make([]byte, size), func(m Mapping) {
			got = append(got, m)
		})
		if err != nil {
			t.Fatal(err)
		}
		// A line that fills the buffer exactly may be read or skipped.
		got = slices.DeleteFunc(got, func(m Mapping) bool { return !slices.Contains(want, m) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}
