//go:build linux

package fleet

import (
	"compress/gzip"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/explain"
)

// pages sends an answer. It is a writer that compresses, and sends a page as soon as one is
// full.
type pages struct {
	agent   *Agent
	request micro.Request
	ctx     context.Context // ends the answer
	id      string
	size    int // of a page
	room    int // for notes

	sent   int
	text   int64
	packer *gzip.Writer
	page   []byte
}

func newPages(conn *nats.Conn, a *Agent, r micro.Request) *pages {
	// A server that allows tiny messages leaves most of them to the headers.
	const headers, least = 16 << 10, 512
	payload := int(conn.MaxPayload())
	return &pages{
		agent: a, request: r, ctx: context.Background(), id: rand.Text(),
		size: max(min(maxPage, payload-headers), min(least, payload/2)), room: min(payload/4, maxNotes*maxNote),
	}
}

// Write adds lines to the answer.
func (p *pages) Write(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	if p.text += int64(len(b)); p.text > maxText {
		return 0, fmt.Errorf("its answer is longer than %d MiB; select fewer objects with --where, or fewer columns", maxText>>20)
	}
	if p.packer == nil {
		p.packer, _ = gzip.NewWriterLevel((*pager)(p), gzip.BestSpeed) // the level is right
	}
	return p.packer.Write(b)
}

// A pager cuts what was compressed into pages.
type pager pages

func (p *pager) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		part := b[:min(len(b), p.size-len(p.page))]
		p.page = append(p.page, part...)
		b, n = b[len(part):], n+len(part)
		if len(p.page) == p.size {
			if err := (*pages)(p).send(nil); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// send sends what there is as a page.
func (p *pages) send(more nats.Header) error {
	p.sent++
	h := p.agent.header()
	h[headerAnswer], h[headerPage] = []string{p.id}, []string{strconv.Itoa(p.sent)}
	maps.Copy(h, more)
	body := p.page
	p.page = p.page[:0] // Respond has copied it when it returns
	return p.request.Respond(body, micro.WithHeaders(micro.Headers(h)))
}

// end sends the last page.
func (p *pages) end(said report) error {
	if _, err := p.Write(nil); err != nil {
		return err
	}
	if err := p.packer.Close(); err != nil {
		return err
	}
	h := nats.Header{headerStatus: {strconv.Itoa(said.status)}}
	room := p.room
	for i, note := range said.notes {
		note = cut(command.OneLine(note), maxNote)
		if i == maxNotes-1 || len(note) > room {
			h[headerNote] = append(h[headerNote], fmt.Sprintf("and more: %d messages in all", len(said.notes)))
			break
		}
		room -= len(note)
		h[headerNote] = append(h[headerNote], note)
	}
	return p.send(h)
}

// fail says why there is no answer, or no more of it.
func (p *pages) fail(code string, why error) {
	text := cut(command.OneLine(explain.Error(why)), min(maxNote, p.room))
	if err := p.request.Error(code, text, nil, micro.WithHeaders(micro.Headers(p.agent.header()))); err != nil {
		p.agent.Log.Warn("an answer could not be sent", "subject", p.request.Subject(), "error", command.OneLine(err.Error()))
	}
}
