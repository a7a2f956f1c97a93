package sysv

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"

	"github.com/sysvipc/gipc/internal/abi"
)

// narrow says that this is a 32-bit program. A 64-bit kernel cuts the sizes of segments
// to 32 bits for it.
const narrow = bits.UintSize == 32

// A sizer puts the sizes of segments right that the kernel may have cut. It keeps what it
// has read, for the next segment.
type sizer struct{ sizes map[int]int64 }

// fix returns EIDRM if the segment is gone, EOVERFLOW if its size can't be known.
func (s *sizer) fix(info *SegmentInfo) abi.Errno {
	if !narrow {
		return 0
	}
	size, ok := s.sizes[info.ID]
	if !ok { // one that was made since they were read, or none was read so far
		var err error
		if s.sizes, err = procSizes(); err != nil {
			return cut()
		}
		if size, ok = s.sizes[info.ID]; !ok {
			return abi.EIDRM
		}
	}
	info.Size = size
	return 0
}

// cut returns EOVERFLOW on a 64-bit kernel. That shows SHMMAX as no more than 31 bits; on
// a 32-bit kernel it is larger, unless it was lowered.
func cut() abi.Errno {
	if limits, _, e := abi.Shmlimits(); e == 0 && limits.Max > math.MaxInt32 {
		return 0
	}
	return abi.EOVERFLOW
}

func procSizes() (map[int]int64, error) {
	f, err := os.Open("/proc/sysvipc/shm")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readSizes(f)
}

// readSizes reads identifiers and sizes from /proc/sysvipc/shm: the second and fourth
// number of each line but the first.
func readSizes(r io.Reader) (map[int]int64, error) {
	sizes := make(map[int]int64)
	lines := bufio.NewScanner(r)
	lines.Scan()
	for lines.Scan() {
		var key, id, mode int
		var size int64
		if _, err := fmt.Sscan(lines.Text(), &key, &id, &mode, &size); err != nil {
			return nil, err
		}
		sizes[id] = size
	}
	return sizes, lines.Err()
}
