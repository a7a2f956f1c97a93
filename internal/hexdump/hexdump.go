// Package hexdump shows bytes in hexadecimal, sixteen a line, as hexdump(1) -C
// does, beginning at any offset.
package hexdump

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

const perLine = 16

// Copy writes the bytes of r to w. The first is said to be at offset.
func Copy(w io.Writer, r io.Reader, offset uint64) error {
	out := bufio.NewWriter(w)
	var buf [perLine]byte
	for {
		n, err := io.ReadFull(r, buf[:])
		if n > 0 {
			line(out, offset, buf[:n])
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

func line(w *bufio.Writer, offset uint64, b []byte) {
	fmt.Fprintf(w, "%08x ", offset)
	for i := range perLine {
		if i%8 == 0 {
			w.WriteByte(' ')
		}
		if i < len(b) {
			fmt.Fprintf(w, "%02x ", b[i])
		} else {
			w.WriteString("   ")
		}
	}
	w.WriteString(" |")
	for _, c := range b {
		if c < ' ' || c > '~' {
			c = '.'
		}
		w.WriteByte(c)
	}
	w.WriteString("|\n")
}
