package backup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// A memory is the contents of a segment or a POSIX object. Only pages that are present
// are read: reading an absent page makes the kernel allocate it, and charge it to the
// reader.
type memory struct {
	io.ReaderAt
	size    int64
	present int64 // upper bound of the bytes that are present
	// next returns the first run of present or swapped-out pages at or after offset;
	// begin is size if there is none.
	next func(offset int64) (begin, end int64, err error)
}

// each calls do for all present pages, in pieces of at most len(buf).
func (m *memory) each(buf []byte, do func(p []byte, offset int64) error) error {
	for offset := int64(0); offset < m.size; {
		begin, end, err := m.next(offset)
		if err != nil {
			return err
		}
		for offset = begin; offset < min(end, m.size); {
			p := buf[:min(int64(len(buf)), end-offset, m.size-offset)]
			n, err := m.ReadAt(p, offset)
			if n < len(p) {
				return errors.Join(errShorter, err)
			}
			if err := do(p, offset); err != nil {
				return err
			}
			offset += int64(n)
		}
	}
	return nil
}

var errShorter = errors.New("it shrank while it was read")

// Values of lseek(2) that package io lacks.
const (
	seekData = 3
	seekHole = 4
)

// ofFile returns the memory of a file whose holes lseek(2) finds. Swapped-out pages are
// not holes.
func ofFile(f *os.File, size, present int64) *memory {
	return &memory{ReaderAt: f, size: size, present: min(present, size), next: func(offset int64) (int64, int64, error) {
		begin, err := f.Seek(offset, seekData)
		if errors.Is(err, syscall.ENXIO) {
			return size, size, nil
		}
		if err != nil {
			return 0, 0, err
		}
		end, err := f.Seek(begin, seekHole)
		return begin, end, err
	}}
}

// ofHugePages returns the memory of a file of huge pages. lseek(2) does not find its
// holes. Reading them allocates nothing but takes time, which is bounded here.
func ofHugePages(f *os.File, size, present int64) (*memory, error) {
	const leeway = 4 << 30
	if size/4 > present && size > leeway && present > 0 {
		return nil, fmt.Errorf("%d bytes of it are in memory, in huge pages, and the kernel does not tell which of its %d bytes they are", present, size)
	}
	return &memory{ReaderAt: f, size: size, present: min(present, size), next: func(offset int64) (int64, int64, error) {
		if present == 0 {
			return size, size, nil
		}
		return offset, size, nil
	}}, nil
}

// ofPages returns the next function of a memory whose pages are known one by one: there
// sets the lowest bit of pages[i] if the i-th page from offset is present.
func ofPages(size, page int64, there func(offset int64, pages []byte) error) func(int64) (begin, end int64, err error) {
	const window = 4096 // pages
	var pages [window]byte
	known := int64(-1) // the offset of the window in pages
	return func(offset int64) (begin, end int64, err error) {
		begin = size
		for at := offset / (window * page) * (window * page); at < size; at += window * page {
			w := pages[:min(window, (size-at+page-1)/page)]
			if known != at {
				if err := there(at, w); err != nil {
					return 0, 0, err
				}
				known = at
			}
			for i, p := range w {
				here := at + int64(i)*page
				switch is := p&1 != 0; {
				case here+page <= offset:
				case is && begin == size:
					begin = max(offset, here)
				case !is && begin != size:
					return begin, here, nil
				}
			}
		}
		return begin, (size + page - 1) / page * page, nil
	}
}

// total returns the number of bytes in the runs of a memory.
func total(next func(int64) (begin, end int64, err error), size int64) (n int64, err error) {
	for offset := int64(0); offset < size; {
		begin, end, err := next(offset)
		if err != nil {
			return 0, err
		}
		if begin < size {
			n += end - begin
		}
		offset = max(end, begin)
	}
	return n, nil
}
