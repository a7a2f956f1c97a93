//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/hexdump"
	"github.com/sysvipc/gipc/cmd/internal/shm"
)

func writeCommand() *cli.Command {
	return &cli.Command{
		Name:         "write",
		Usage:        "write a file, or standard input, into an object",
		ArgsUsage:    "REF [FILE]",
		BashComplete: command.CompleteWith(everyRef),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "offset", Aliases: []string{"o"}, Value: "0", Usage: "begin at the byte `N`"},
		},
		Action: write,
	}
}

func write(c *cli.Context) error {
	args, err := command.Operands(c, 1, 2, "REF [FILE]")
	if err != nil {
		return err
	}
	offset, err := command.SizeFlag(c, "offset")
	if err != nil {
		return err
	}
	o, err := findObject(args[0])
	if err != nil {
		return err
	}
	source := os.Stdin
	if len(args) > 1 {
		if source, err = os.Open(args[1]); err != nil {
			return err
		}
		defer source.Close()
	}
	mem, err := o.Attach(shm.AttachOptions{})
	if err != nil {
		return err
	}
	return errors.Join(writeAll(o, mem, offset, source), mem.Detach())
}

// writeAll writes all of source, or nothing if it does not fit. To find out, it first reads
// source to its end.
func writeAll(o shm.Object, mem shm.Mapping, offset int64, source io.Reader) error {
	room := int64(mem.Len()) - offset
	if room < 0 {
		return fmt.Errorf("offset %d is beyond the end of %v, which has %d bytes", offset, o, mem.Len())
	}
	data, err := io.ReadAll(io.LimitReader(source, room+1))
	if err != nil {
		return err
	}
	if int64(len(data)) > room {
		return fmt.Errorf("the input does not fit: %v has %d bytes from offset %d on; nothing was written", o, room, offset)
	}
	_, err = mem.WriteAt(data, offset)
	return err
}

func readCommand() *cli.Command {
	return &cli.Command{
		Name:         "read",
		Usage:        "write the contents of an object to standard output",
		ArgsUsage:    "REF",
		BashComplete: command.CompleteWith(everyRef),
		Description:  "A terminal gets control characters escaped, and zeros at the end left out.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "offset", Aliases: []string{"o"}, Value: "0", Usage: "begin at the byte `N`"},
			&cli.StringFlag{Name: "length", Aliases: []string{"n"}, Usage: "read `N` bytes", DefaultText: "up to the end"},
			&cli.BoolFlag{Name: "hex", Aliases: []string{"x"}, Usage: "show bytes in hexadecimal", DisableDefaultText: true},
		},
		Action: read,
	}
}

func read(c *cli.Context) error {
	offset, err := command.SizeFlag(c, "offset")
	if err != nil {
		return err
	}
	length := int64(-1)
	if c.IsSet("length") {
		if length, err = command.SizeFlag(c, "length"); err != nil {
			return err
		}
	}
	o, err := oneObject(c)
	if err != nil {
		return err
	}
	mem, err := o.Attach(shm.AttachOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(readRange(c, o, mem, offset, length), mem.Detach())
}

func readRange(c *cli.Context, o shm.Object, mem shm.Mapping, offset, length int64) error {
	size := int64(mem.Len())
	if length < 0 {
		length = max(size-offset, 0)
	}
	if offset > size || length > size-offset {
		return fmt.Errorf("%d bytes from offset %d reach beyond the end of %v, which has %d bytes", length, offset, o, size)
	}
	section := io.NewSectionReader(mem, offset, length)
	switch {
	case c.Bool("hex"):
		return hexdump.Copy(c.App.Writer, section, uint64(offset))
	case command.IsTerminal(c.App.Writer):
		return showText(c.App.Writer, c.App.ErrWriter, section)
	default:
		_, err := io.Copy(c.App.Writer, section)
		return err
	}
}

// showText shows contents to a person. Lines stay lines, other unprintable characters are
// escaped, and zeros at the end are only counted.
func showText(out, notes io.Writer, contents io.Reader) error {
	all, err := io.ReadAll(contents)
	if err != nil {
		return err
	}
	text := bytes.TrimRight(all, "\x00")
	w := bufio.NewWriter(out)
	for line := range bytes.Lines(text) {
		body := bytes.TrimSuffix(line, []byte{'\n'})
		w.WriteString(command.OneLine(string(body)))
		w.WriteByte('\n')
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if zeros := len(all) - len(text); zeros > 0 {
		fmt.Fprintf(notes, "(%d zero bytes follow)\n", zeros)
	}
	return nil
}
