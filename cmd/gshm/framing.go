//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/shmring"
)

// lengthSize is the size of the big-endian number before each message of --framing length.
const lengthSize = 4

// framingFlag returns the flag that specifies how messages are separated in a stream of
// bytes. last is the framing that only this command has.
func framingFlag(last string) cli.Flag {
	return &cli.StringFlag{Name: "framing", Aliases: []string{"f"}, Value: "lines", Usage: "`FRAMING`: lines, null, length or " + last}
}

// splitFlag returns a function that makes the bufio.SplitFunc of --framing, for messages of
// at most the given length. The messages do not include their separators.
func splitFlag(c *cli.Context) (func(longest int) bufio.SplitFunc, error) {
	switch framing := c.String("framing"); framing {
	case "lines":
		return func(int) bufio.SplitFunc { return splitAfter('\n') }, nil
	case "null":
		return func(int) bufio.SplitFunc { return splitAfter(0) }, nil
	case "length":
		return splitLengths, nil
	default:
		size, err := units.ParseSize(framing)
		if err != nil || size == 0 {
			return nil, command.Usagef("--framing: %q is neither lines, null or length nor the size of a message", framing)
		}
		return func(longest int) bufio.SplitFunc { return splitPieces(size, longest) }, nil
	}
}

// splitAfter splits after each byte equal to end. The last message may lack it.
func splitAfter(end byte) bufio.SplitFunc {
	return func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, end); i >= 0 {
			return i + 1, data[:i], nil
		}
		if atEOF && len(data) > 0 {
			return len(data), data, nil
		}
		return 0, nil, nil
	}
}

// splitLengths splits messages that are preceded by their lengths.
func splitLengths(longest int) bufio.SplitFunc {
	return func(data []byte, atEOF bool) (int, []byte, error) {
		if len(data) >= lengthSize {
			n := uint64(binary.BigEndian.Uint32(data))
			switch {
			case n > uint64(longest):
				return 0, nil, shmring.ErrTooLarge
			case uint64(len(data)) >= lengthSize+n:
				return lengthSize + int(n), data[lengthSize : lengthSize+n], nil
			}
		}
		if atEOF && len(data) > 0 {
			return 0, nil, io.ErrUnexpectedEOF
		}
		return 0, nil, nil
	}
}

// splitPieces splits into messages of size bytes. The last one may be shorter.
func splitPieces(size int64, longest int) bufio.SplitFunc {
	return func(data []byte, atEOF bool) (int, []byte, error) {
		switch {
		case size > int64(longest):
			return 0, nil, shmring.ErrTooLarge
		case int64(len(data)) >= size:
			return int(size), data[:size], nil
		case atEOF && len(data) > 0:
			return len(data), data, nil
		}
		return 0, nil, nil
	}
}

// A framer writes a message so that its end can be found.
type framer func(w *bufio.Writer, msg []byte) error

// framerFlag returns the framer of --framing.
func framerFlag(c *cli.Context) (framer, error) {
	switch framing := c.String("framing"); framing {
	case "lines":
		return endWith('\n'), nil
	case "null":
		return endWith(0), nil
	case "length":
		return withLength, nil
	case "raw":
		return put, nil
	default:
		return nil, command.Usagef("--framing: %q is neither lines, null, length nor raw", framing)
	}
}

func endWith(end byte) framer {
	return func(w *bufio.Writer, msg []byte) error {
		w.Write(msg) // WriteByte returns its error, too
		return w.WriteByte(end)
	}
}

func withLength(w *bufio.Writer, msg []byte) error {
	var n [lengthSize]byte
	if uint64(len(msg)) > math.MaxUint32 {
		return fmt.Errorf("a message of %d bytes is too long for --framing length", len(msg))
	}
	binary.BigEndian.PutUint32(n[:], uint32(len(msg)))
	w.Write(n[:])
	return put(w, msg)
}

func put(w *bufio.Writer, p []byte) error {
	_, err := w.Write(p)
	return err
}
