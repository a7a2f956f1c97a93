package render_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/render/boxed"
)

const benchRows = 32000

var benchColumns = []render.Column{
	{Name: "key"},
	{Name: "shmid", Align: render.Right},
	{Name: "owner"},
	{Name: "perms"},
	{Name: "bytes", Align: render.Right},
	{Name: "nattch", Align: render.Right},
	{Name: "ctime"},
	{Name: "status"},
}

// segments yields rows like a listing of segments, reusing one slice.
func segments(n int) iter.Seq[[]render.Cell] {
	return func(yield func([]render.Cell) bool) {
		start := time.Unix(1_700_000_000, 0).UTC()
		cells := make([]render.Cell, len(benchColumns))
		for i := range n {
			cells[0] = render.Hex(uint64(uint32(i)*2654435761), 8)
			cells[1] = render.Int(int64(i * 3))
			cells[2] = render.Text("postgres")
			cells[3] = render.Octal(0o600, 1)
			cells[4] = render.Size(uint64(i) * 4096)
			cells[5] = render.Uint(uint64(i % 7))
			cells[6] = render.Time(start.Add(time.Duration(i) * time.Second))
			cells[7] = render.List()
			if !yield(cells) {
				return
			}
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, name := range render.FormatNames() {
		f, err := render.ParseFormat(name)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := render.Write(io.Discard, f, benchColumns, segments(benchRows), render.Options{DrawTable: boxed.Draw}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWriteFew measures a typical call.
func BenchmarkWriteFew(b *testing.B) {
	for _, f := range []render.Format{render.Plain, render.JSON, render.Table} {
		b.Run(f.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := render.Write(io.Discard, f, benchColumns, segments(10), render.Options{DrawTable: boxed.Draw}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPeers writes the same rows in other common ways.
func BenchmarkPeers(b *testing.B) {
	b.Run("rows alone", func(b *testing.B) {
		for b.Loop() {
			for range segments(benchRows) {
			}
		}
	})
	b.Run("hand append, fixed widths", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf := make([]byte, 0, 65<<10)
			for i := range benchRows {
				if buf = appendRow(buf, i); len(buf) >= 64<<10 {
					io.Discard.Write(buf)
					buf = buf[:0]
				}
			}
		}
	})
	b.Run("fmt and bufio", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w := bufio.NewWriterSize(io.Discard, 64<<10)
			for i := range benchRows {
				fmt.Fprintf(w, "0x%08x  %6d  %-8s  %5o  %10d  %6d  %-20s  -\n", uint32(i)*2654435761, i*3, "postgres", 0o600, i*4096, i%7, benchTime(i).Format(time.RFC3339Nano))
			}
			w.Flush()
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		type segment struct {
			Key, Owner, Perms string
			ID                int
			Bytes, Nattch     uint64
			Ctime             time.Time
			Status            []string
		}
		list := make([]segment, benchRows)
		for i := range list {
			list[i] = segment{fmt.Sprintf("0x%08x", i), "postgres", "600", i, uint64(i) * 4096, uint64(i % 7), benchTime(i), []string{}}
		}
		b.ReportAllocs()
		for b.Loop() {
			var out bytes.Buffer
			if err := json.NewEncoder(&out).Encode(list); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchTime(i int) time.Time { return time.Unix(1_700_000_000+int64(i), 0).UTC() }

// appendRow appends the cells of a row, each padded to a fixed width.
func appendRow(buf []byte, i int) []byte {
	from := len(buf)
	pad := func(dst []byte, width int) []byte {
		for len(dst)-from < width {
			dst = append(dst, ' ')
		}
		return dst
	}
	buf = append(buf, "0x"...)
	key := uint32(i) * 2654435761
	for shift := 28; shift >= 0; shift -= 4 {
		buf = append(buf, "0123456789abcdef"[key>>shift&0xf])
	}
	buf = pad(buf, 12)
	buf = pad(strconv.AppendInt(buf, int64(i*3), 10), 20)
	buf = pad(append(buf, "postgres"...), 30)
	buf = pad(strconv.AppendUint(buf, 0o600, 8), 37)
	buf = pad(strconv.AppendUint(buf, uint64(i)*4096, 10), 48)
	buf = pad(strconv.AppendUint(buf, uint64(i%7), 10), 56)
	buf = pad(benchTime(i).AppendFormat(buf, time.RFC3339Nano), 78)
	return append(buf, "-\n"...)
}
