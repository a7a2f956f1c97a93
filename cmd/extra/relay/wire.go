package relay

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// The protocol: a sender publishes requests on the subject, with a reply subject of its own,
// and the receiver answers each of them. All fields are headers; the payload of data is
// frames, see frame.go.
const (
	headerKind   = "Gipc-Relay"  // version and kind
	headerSource = "Gipc-Source" // the id of the sending ring
	headerRing   = "Gipc-Ring"   // the id of the receiving ring
	headerAfter  = "Gipc-After"  // a place
	headerEnd    = "Gipc-End"    // a place
	headerPart   = "Gipc-Part"   // first byte and number of bytes of the whole payload
	headerLimit  = "Gipc-Limit"  // the longest message that the receiving ring takes
	headerInbox  = "Gipc-Inbox"  // where the sender answers
	headerBusy   = "Gipc-Busy"   // how long the receiver has waited for room, in milliseconds
	headerWhy    = "Gipc-Why"    // the reason of a refusal
	headerHost   = "Gipc-Host"   // the name of the machine
	headerTime   = "Gipc-Time"   // when the request was sent, RFC 3339

	version = "1 "
)

// Kinds of requests and replies.
const (
	// A sender asks where it is to begin. The reply is state.
	kindHello = "hello"
	// Data after one place and up to another. The reply is state, or part.
	kindData = "data"
	// A sender asks whether the receiver lives. The reply, alive, comes at once.
	kindPing = "ping"
	// A receiver asks whether another one serves the subject. The reply is alive.
	kindWho = "who"

	// How far the receiving ring has got.
	kindState = "state"
	// A part of a payload has arrived, and more are missing.
	kindPart  = "part"
	kindAlive = "alive"
	// The receiver will not take these messages, whatever the sender does.
	kindRefused = "refused"
)

// An id is that of a ring.
type id [16]byte

func (i id) String() string { return hex.EncodeToString(i[:]) }

// A place is a position in the sending ring, and a number of messages after it. The number is
// 0 except within a batch that was cut short, which happens only in a broadcast.
type place struct{ position, count uint64 }

func (p place) String() string {
	return strconv.FormatUint(p.position, 10) + " " + strconv.FormatUint(p.count, 10)
}

// A packet is a request or a reply. Fields that a kind does not use are zero.
type packet struct {
	kind         string
	source, ring id
	after, end   place
	first, total int // of a part; total 0: the payload is whole
	limit        int
	inbox        string
	busy         time.Duration
	why          string
	host         string
	sent         time.Time
}

// message returns the packet as a NATS message.
func (p *packet) message(subject string) *nats.Msg {
	h := nats.Header{headerKind: {version + p.kind}}
	set := func(name, value string, is bool) {
		if is {
			h[name] = []string{value}
		}
	}
	set(headerSource, p.source.String(), p.source != id{})
	set(headerRing, p.ring.String(), p.ring != id{})
	set(headerAfter, p.after.String(), p.after != place{})
	set(headerEnd, p.end.String(), p.end != place{})
	set(headerPart, fmt.Sprint(p.first, p.total), p.total != 0)
	set(headerLimit, strconv.Itoa(p.limit), p.limit != 0)
	set(headerInbox, p.inbox, p.inbox != "")
	set(headerBusy, strconv.FormatInt(p.busy.Milliseconds(), 10), p.busy > 0)
	set(headerWhy, oneLine(p.why), p.why != "")
	set(headerHost, oneLine(p.host), p.host != "")
	set(headerTime, p.sent.UTC().Format(time.RFC3339Nano), !p.sent.IsZero())
	return &nats.Msg{Subject: subject, Header: h}
}

// maxText limits texts that a peer wrote.
const maxText = 300

// oneLine returns the text without control characters, which could end a header or confuse a
// terminal, and not too long.
func oneLine(text string) string {
	text = text[:min(len(text), maxText)]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// parse reads a packet. An error says what is wrong with it.
func parse(m *nats.Msg) (*packet, error) {
	get := func(name string) string {
		if values := m.Header[name]; len(values) > 0 {
			return values[0]
		}
		return ""
	}
	kind, ok := strings.CutPrefix(get(headerKind), version)
	if !ok {
		return nil, fmt.Errorf("relay: %q: not a message of this version of the relay", oneLine(get(headerKind)))
	}
	p := &packet{kind: kind, inbox: get(headerInbox), why: oneLine(get(headerWhy)), host: oneLine(get(headerHost))}
	ids := func(text string, i *id) bool {
		n, err := hex.Decode(i[:], []byte(text[:min(len(text), 2*len(i))]))
		return text == "" || err == nil && n == len(i) && len(text) == 2*n
	}
	var busy int
	for _, field := range []struct {
		name string
		ok   bool
	}{
		{headerSource, ids(get(headerSource), &p.source)},
		{headerRing, ids(get(headerRing), &p.ring)},
		{headerAfter, numbers(get(headerAfter), &p.after.position, &p.after.count)},
		{headerEnd, numbers(get(headerEnd), &p.end.position, &p.end.count)},
		{headerPart, numbers(get(headerPart), &p.first, &p.total)},
		{headerLimit, numbers(get(headerLimit), &p.limit)},
		{headerBusy, numbers(get(headerBusy), &busy)},
	} {
		if !field.ok {
			return nil, fmt.Errorf("relay: %s: %q is not valid", field.name, oneLine(get(field.name)))
		}
	}
	p.busy = time.Duration(busy) * time.Millisecond
	return p, nil
}

// maxNumber limits numbers that become an int: large enough for every ring.
const maxNumber = 1 << 40

// numbers reads the decimal numbers of text, all or none of them.
func numbers[T int | uint64](text string, to ...*T) bool {
	if text == "" {
		return true
	}
	words := strings.Split(text, " ")
	if len(words) != len(to) {
		return false
	}
	for i, word := range words {
		n, err := strconv.ParseUint(word, 10, 64)
		v := T(n)
		if _, is := any(v).(int); err != nil || is && (n > maxNumber || uint64(v) != n) {
			return false
		}
		*to[i] = v
	}
	return true
}
