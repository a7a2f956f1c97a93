package hexdump_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sysvipc/gipc/cmd/internal/hexdump"
)

func dump(t *testing.T, data []byte, offset uint64) string {
	t.Helper()
	var out strings.Builder
	if err := hexdump.Copy(&out, bytes.NewReader(data), offset); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestCopy(t *testing.T) {
	tests := []struct {
		data   string
		offset uint64
		want   string
	}{
		{"", 5, ""},
		{"A", 0, "00000000  41                                                |A|\n"},
		{"12345678", 0, "00000000  31 32 33 34 35 36 37 38                           |12345678|\n"},
		{"123456789", 14, "0000000e  31 32 33 34 35 36 37 38  39                       |123456789|\n"},
		{"\x00\x1f ~\x7f\x80\xff\n|", 0, "00000000  00 1f 20 7e 7f 80 ff 0a  7c                       |.. ~....||\n"},
		{
			"0123456789abcdef" + "g", 0xfffffff0,
			"fffffff0  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n" +
				"100000000  67                                                |g|\n",
		},
	}
	for _, test := range tests {
		if got := dump(t, []byte(test.data), test.offset); got != test.want {
			t.Errorf("Copy of %q at %#x:\n%swant\n%s", test.data, test.offset, got, test.want)
		}
	}
}

// TestLikeHexdump compares with hexdump(1), except for its last line, the end offset.
func TestLikeHexdump(t *testing.T) {
	program, err := exec.LookPath("hexdump")
	if err != nil {
		t.Skip("no hexdump: install bsdextrautils")
	}
	for _, size := range []int{1, 7, 8, 9, 15, 16, 17, 31, 1000} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(rand.Uint32())
		}
		cmd := exec.Command(program, "-Cv")
		cmd.Stdin = bytes.NewReader(data)
		want, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := dump(t, data, 0) + fmt.Sprintf("%08x\n", size); got != string(want) {
			t.Errorf("%d bytes:\n%swant\n%s", size, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	broken := errors.New("broken")
	if err := hexdump.Copy(&strings.Builder{}, iotest.ErrReader(broken), 0); !errors.Is(err, broken) {
		t.Errorf("reading: %v", err)
	}
	if err := hexdump.Copy(brokenWriter{broken}, strings.NewReader("x"), 0); !errors.Is(err, broken) {
		t.Errorf("writing: %v", err)
	}
	// A reader that returns one byte at a time must give full lines too.
	var out strings.Builder
	if err := hexdump.Copy(&out, iotest.OneByteReader(strings.NewReader("0123456789abcdefg")), 0); err != nil || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("%q, %v", &out, err)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }
