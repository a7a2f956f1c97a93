package units

import (
	"errors"
	"fmt"
	"strconv"
)

// ParseMode parses the permission bits of an IPC object: an octal number up to 777,
// with or without leading zeros.
func ParseMode(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if errors.Is(err, strconv.ErrSyntax) {
		return 0, fmt.Errorf("invalid mode %q: want an octal number such as 600", s)
	}
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("mode %q is too big: at most octal 777, for IPC objects have nothing but permission bits", s)
	}
	return uint32(n), nil
}

// FormatMode returns the nine permission bits of mode like ipcs: octal, without a
// leading zero. Other bits are ignored.
func FormatMode(mode uint32) string {
	return string(AppendMode(nil, mode))
}

// AppendMode appends FormatMode(mode) to dst.
func AppendMode(dst []byte, mode uint32) []byte {
	return strconv.AppendUint(dst, uint64(mode&0o777), 8)
}

// FormatPermissions returns the nine permission bits of mode like ls and lsipc:
// rw-r--r--.
func FormatPermissions(mode uint32) string {
	const letters = "rwxrwxrwx"
	var text [len(letters)]byte
	for i := range text {
		text[i] = '-'
		if mode&(0o400>>i) != 0 {
			text[i] = letters[i]
		}
	}
	return string(text[:])
}
