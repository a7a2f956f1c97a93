package sysv

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Key is the number (key_t) by which unrelated processes find an object. It is signed,
// as in C, and is written as eight hexadecimal digits.
type Key int32

// Private is IPC_PRIVATE. An object created with it has no key, and each creation makes a
// new object. No object is ever found by it.
const Private Key = 0

// ErrPrivateKey is returned by a lookup of Private.
var ErrPrivateKey = errors.New("key 0 (IPC_PRIVATE) names no object")

// String returns the key as ipcs(1) prints it, such as 0x000004d2.
func (k Key) String() string { return fmt.Sprintf("0x%08x", uint32(k)) }

// ParseKey parses a key in any base of C: 1234, 0x4d2 or 02322. A negative key may have
// its signed or its unsigned form. A number that does not fit into 32 bits is an error.
func ParseKey(s string) (Key, error) {
	n, err := parseC(s)
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && (n < math.MinInt32 || n > math.MaxUint32):
		return 0, fmt.Errorf("key %q does not fit into 32 bits", s)
	case err != nil:
		return 0, fmt.Errorf("key %q is not a number; write 1234, 0x4d2 or 02322", s)
	}
	return Key(uint32(n)), nil
}

// parseC parses a number as strtol(3) does with base 0. strconv.ParseInt accepts more
// prefixes, and underscores.
func parseC(s string) (int64, error) {
	digits := strings.TrimLeft(s, "+-")
	if strings.ContainsAny(digits, "_oObB") && !strings.HasPrefix(digits, "0x") && !strings.HasPrefix(digits, "0X") || strings.Contains(digits, "_") {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(s, 0, 64)
}

// Ftok derives a key from a file and a project number, as ftok(3) of the GNU C library
// does: from the low 16 bits of the inode number, the low 8 bits of the device number, and
// the 8 bits of proj. Different files can therefore give the same key, and a file that is
// deleted and recreated gives another one.
//
// Errors: *fs.PathError with those of stat(2); proj 0, for which POSIX defines no result.
func Ftok(path string, proj byte) (Key, error) {
	if proj == 0 {
		return 0, errors.New("ftok: project number 0 is not allowed; use 1 to 255")
	}
	dev, ino, err := fileID(path)
	if err != nil {
		return 0, err
	}
	return Key(uint32(proj)<<24 | uint32(dev&0xff)<<16 | uint32(ino&0xffff)), nil
}
