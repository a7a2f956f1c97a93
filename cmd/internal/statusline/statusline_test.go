package statusline

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	const hostile = "evil\x1b]0;OWNED\a\x1b[2J\r\n"
	for terminal, want := range map[bool]string{
		true:  "\r" + `evil\x1b]0;OWNED\x07\x1b[2J\r\n` + "\x1b[K" + "\rb\x1b[K" + "\r\x1b[K" + "\rend\x1b[K\n",
		false: `evil\x1b]0;OWNED\x07\x1b[2J\r\n` + "\nb\nend\n",
	} {
		var out bytes.Buffer
		l := &Line{w: &out, terminal: terminal}
		l.Show(hostile)
		l.Show("b")
		l.Clear()
		l.Clear()
		l.End("end")
		if out.String() != want {
			t.Errorf("terminal %v: %q, want %q", terminal, &out, want)
		}
	}
	var none *Line
	none.Show("x")
	none.Clear()
	none.End("x")
	if New(&bytes.Buffer{}) != nil || none.Bytes() != nil {
		t.Error("a buffer is a terminal")
	}
}

func TestBytes(t *testing.T) {
	var out bytes.Buffer
	show := (&Line{w: &out, terminal: true}).Bytes()
	show("pshm:/\x1b[2J", 1, 100)
	show("pshm:/\x1b[2J", 100, 100)
	if out.Len() > 0 {
		t.Errorf("an immediate copy was shown: %q", &out)
	}
	for began := time.Now(); out.Len() == 0 && time.Since(began) < 30*time.Second; {
		show("pshm:/\x1b[2J", 1024, 2048)
	}
	show("pshm:/\x1b[2J", 2048, 2048)
	if got, want := out.String(), "\r"+`pshm:/\x1b[2J: 1K of 2K`+"\x1b[K\r\x1b[K"; !strings.EqualFold(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
