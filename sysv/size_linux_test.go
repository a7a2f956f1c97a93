package sysv

import (
	"math/bits"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sysvipc/gipc/internal/abi"
)

func TestReadSizes(t *testing.T) {
	const head = "       key      shmid perms                  size\n"
	got, err := readSizes(strings.NewReader(head + "-5  32769   600            5368709120  1 2\n 0 7 1600 1 0\n"))
	if diff := cmp.Diff(map[int]int64{32769: 5 << 30, 7: 1}, got); diff != "" || err != nil {
		t.Errorf("readSizes: %v (-want +got)\n%s", err, diff)
	}
	if _, err := readSizes(strings.NewReader(head + "0 7 1600 many\n")); err == nil {
		t.Error("readSizes takes a size that is no number")
	}
}

// TestProcSizes compares /proc with what the kernel reports to a 64-bit program.
func TestProcSizes(t *testing.T) {
	size := int64(5 << 20)
	if bits.UintSize == 64 {
		size <<= 10
	}
	s, err := CreateSegment(Private, size, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
	}()
	sizes, err := procSizes()
	info, statErr := s.Stat()
	if sizes[int(s)] != size || err != nil || info.Size != size || statErr != nil {
		t.Errorf("a segment of %d bytes has %d by /proc (%v) and %d by Stat (%v)", size, sizes[int(s)], err, info.Size, statErr)
	}
	gone := SegmentInfo{ID: int(s) + 1}
	if e := new(sizer).fix(&gone); narrow && e != abi.EIDRM || !narrow && e != 0 {
		t.Errorf("the size of a segment that is gone: %v", e)
	}
}
