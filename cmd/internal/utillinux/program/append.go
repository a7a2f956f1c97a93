package program

import "strconv"

// PadLeft appends s, padded with blanks to width (%-*s).
func PadLeft(dst []byte, s string, width int) []byte {
	dst = append(dst, s...)
	return blanks(dst, width-len(s))
}

// PadRight appends s after blanks up to width (%*s).
func PadRight(dst []byte, s string, width int) []byte {
	return append(blanks(dst, width-len(s)), s...)
}

// PadUint appends n, padded with blanks to width (%-*u).
func PadUint(dst []byte, n uint64, width int) []byte {
	start := len(dst)
	dst = strconv.AppendUint(dst, n, 10)
	return blanks(dst, width-(len(dst)-start))
}

// PadOctal appends n in octal, padded with blanks to width (%-*o).
func PadOctal(dst []byte, n uint32, width int) []byte {
	start := len(dst)
	dst = strconv.AppendUint(dst, uint64(n), 8)
	return blanks(dst, width-(len(dst)-start))
}

// Key appends 0x and the key as eight hexadecimal digits.
func Key(dst []byte, key int32) []byte {
	dst = append(dst, '0', 'x')
	for shift := 28; shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[uint32(key)>>shift&0xf])
	}
	return dst
}

// Octal appends n in octal after a 0 (%#o).
func Octal(dst []byte, n uint32) []byte {
	if n != 0 {
		dst = append(dst, '0')
	}
	return strconv.AppendUint(dst, uint64(n), 8)
}

func blanks(dst []byte, n int) []byte {
	const some = "                                "
	for n > len(some) {
		dst = append(dst, some...)
		n -= len(some)
	}
	if n > 0 {
		dst = append(dst, some[:n]...)
	}
	return dst
}
