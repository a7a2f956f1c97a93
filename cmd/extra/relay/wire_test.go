package relay

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestPacket(t *testing.T) {
	for _, p := range []packet{
		{kind: kindWho},
		{kind: kindHello, source: id{1}, inbox: "_INBOX.x.control", host: "a"},
		{kind: kindData, source: id{15: 255}, ring: id{7: 1}, after: place{1 << 63, 3}, end: place{1<<63 + 64, 0}, first: 10, total: 11},
		{kind: kindRefused, ring: id{1}, limit: 1 << 20, why: "because", busy: 5 * time.Millisecond},
	} {
		got, err := parse(p.message("s"))
		if err != nil || !reflect.DeepEqual(*got, p) {
			t.Errorf("%+v becomes %+v, %v", p, got, err)
		}
	}
	p := packet{kind: kindRefused, why: "two\r\nlines\x1b[m" + strings.Repeat("é", maxText)}
	if got, err := parse(p.message("s")); err != nil || strings.ContainsAny(got.why, "\r\n\x1b") || len(got.why) > maxText+2 {
		t.Errorf("why is %q, %v", got.why, err)
	}
}

// FuzzPacket reads headers that a hostile peer may send, and writes again what is valid.
func FuzzPacket(f *testing.F) {
	f.Add("1 data", strings.Repeat("ab", 16), "4096 0", "1 2")
	f.Add("1 hello", "", "", "")
	f.Add("2 x", "zz", "18446744073709551616 0", "-1 1")
	f.Fuzz(func(t *testing.T, kind, hex, numbers, part string) {
		p, err := parse(&nats.Msg{Header: nats.Header{
			headerKind: {kind}, headerSource: {hex}, headerAfter: {numbers}, headerPart: {part}, headerWhy: {kind},
		}})
		if err != nil {
			if text := err.Error(); strings.ContainsAny(text, "\n\x1b") || len(text) > 3*maxText {
				t.Errorf("%q", text)
			}
			return
		}
		if again, err := parse(p.message("s")); err != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%+v becomes %+v, %v", p, again, err)
		}
	})
}

// FuzzFrames reads payloads that a hostile peer may send.
func FuzzFrames(f *testing.F) {
	f.Add(appendFrame(appendFrame(nil, nil), []byte("abc")))
	f.Add([]byte{1})
	f.Add([]byte{255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, payload []byte) {
		msgs, err := frames(nil, payload)
		if err != nil {
			return
		}
		var again []byte
		for _, msg := range msgs {
			again = appendFrame(again, msg)
		}
		if !bytes.Equal(again, payload) || len(msgs) == 0 {
			t.Errorf("%x becomes %x", payload, again)
		}
	})
}
