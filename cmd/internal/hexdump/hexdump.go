// Package hexdump formats bytes like hexdump(1) -C, sixteen a line, from any offset.
package hexdump

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// PerLine is the number of bytes on a line.
const PerLine = 16

// Copy writes the bytes of r to w as a dump whose first offset is offset.
func Copy(w io.Writer, r io.Reader, offset uint64) error {
	out := bufio.NewWriter(w)
	var buf [PerLine]byte
	for {
		n, err := io.ReadFull(r, buf[:])
		if n > 0 {
			digits, text := Line(buf[:n])
			fmt.Fprintf(out, "%08x  %-49s |%s|\n", offset, digits, text)
			offset += uint64(n)
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return out.Flush()
		case err != nil:
			return err
		}
	}
}

// Line formats up to PerLine bytes as hexadecimal digits and as text, with a dot for
// everything but printable ASCII.
func Line(b []byte) (digits, text string) {
	var d, t strings.Builder
	for i, c := range b {
		if i > 0 {
			d.WriteByte(' ')
		}
		if i == PerLine/2 {
			d.WriteByte(' ')
		}
		fmt.Fprintf(&d, "%02x", c)
		if c < ' ' || c > '~' {
			c = '.'
		}
		t.WriteByte(c)
	}
	return d.String(), t.String()
}
