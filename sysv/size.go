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

// narrow is set in a 32-bit program, for which a 64-bit kernel truncates the sizes of
// segments to 32 bits.
const narrow = bits.UintSize == 32

// A sizer corrects the sizes of segments that the kernel may have truncated. It caches the
// sizes it has read.
type sizer struct{ sizes map[int]int64 }

// fix returns EIDRM if the segment is gone, and EOVERFLOW if its size cannot be
// determined.
func (s *sizer) fix(info *SegmentInfo) abi.Errno {
	if !narrow {
		return 0
	}
	size, ok := s.sizes[info.ID]
	if !ok { // created since the last read, or nothing read so far
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

// cut returns EOVERFLOW on a 64-bit kernel, which reports SHMMAX as at most 31 bits to a
// 32-bit program. A 32-bit kernel reports more, unless SHMMAX was lowered.
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
// number of each line except the first.
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
