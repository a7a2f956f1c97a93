package shmring

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// A Writer is the writing end of a byte stream in a ring. Each Write becomes one or more
// messages, whose bounds have no meaning. Only one goroutine may use it at a time.
type Writer struct {
	ctx      context.Context
	producer *Producer
	chunk    int
}

// A Reader is the reading end of a byte stream in a ring. Only one goroutine may use it at
// a time.
type Reader struct {
	ctx      context.Context
	consumer *Consumer
	rest     []byte // unread part of the last message
	err      error  // what ended the stream
}

var (
	_ io.WriteCloser = (*Writer)(nil)
	_ io.ReaderFrom  = (*Writer)(nil)
	_ io.ReadCloser  = (*Reader)(nil)
	_ io.WriterTo    = (*Reader)(nil)
)

// mostChunk is the size beyond which larger pieces do not make a stream faster.
const mostChunk = 1 << 20

// Writer returns a byte stream into the ring. The Writer owns p from now on. ctx ends all
// its waits. In a ring for Many, the pieces of several streams mix.
func (p *Producer) Writer(ctx context.Context) *Writer {
	// With pieces of a sixteenth of the ring, both sides always have some to work on.
	return &Writer{ctx: ctx, producer: p, chunk: int(min(p.ring.capacity/16, mostChunk))}
}

// Reader returns the byte stream out of the ring. The Reader owns c from now on. ctx ends
// all its waits.
func (c *Consumer) Reader(ctx context.Context) *Reader { return &Reader{ctx: ctx, consumer: c} }

// Write implements io.Writer. It blocks while the ring is full. Errors: those of
// Producer.Claim.
func (w *Writer) Write(p []byte) (n int, err error) {
	for n < len(p) {
		piece := p[n:min(len(p), n+w.chunk)]
		if err := w.producer.Send(w.ctx, piece); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}

// ReadFrom implements io.ReaderFrom. It reads from r until io.EOF, straight into the
// memory of the ring. In a ring for Many, a Read of r that blocks delays the messages of
// all producers.
func (w *Writer) ReadFrom(r io.Reader) (n int64, err error) {
	for {
		got, readErr, err := w.readOnce(r)
		n += int64(got)
		switch {
		case err != nil:
			return n, err
		case readErr == io.EOF: // an error that wraps io.EOF is a failure, as for io.Copy
			return n, nil
		case readErr != nil:
			return n, readErr
		}
	}
}

// readOnce sends the result of one Read as a message. err is the error of the ring, readErr
// the error of r.
func (w *Writer) readOnce(r io.Reader) (n int, readErr, err error) {
	claim, err := w.producer.Claim(w.ctx, w.chunk)
	if err != nil {
		return 0, nil, err
	}
	committed := false
	defer func() {
		if !committed { // also if r panics or ends its goroutine
			err = errors.Join(err, claim.Abort())
		}
	}()
	n, readErr = r.Read(claim.Bytes())
	switch {
	case n < 0:
		return 0, nil, errors.New("shmring: reader returned a negative count")
	case n == 0:
		return 0, readErr, nil
	}
	// If r claims to have read more than there was room for, the error is ErrTooLarge.
	if err = claim.CommitN(n); err != nil {
		return 0, nil, err
	}
	committed = true
	return n, readErr, nil
}

// Flush blocks until the reader has taken everything that was written. Errors: those of
// Producer.Flush.
func (w *Writer) Flush() error { return w.producer.Flush(w.ctx) }

// Close closes the producer. The reader gets io.EOF after everything that was written.
// Close does not wait for that; Flush does. A conversation uses another ring for the other
// direction, which stays open.
func (w *Writer) Close() error { return w.producer.Close() }

// Read implements io.Reader. It blocks while the ring is empty. It returns io.EOF if all
// producers have closed, and ErrPeerDied if one has died, in which case data is missing.
// Other errors: those of Consumer.Receive.
func (r *Reader) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.fill(); err != nil {
		return 0, err
	}
	n = copy(p, r.rest)
	r.advance(n)
	return n, nil
}

// WriteTo implements io.WriterTo. It writes straight from the memory of the ring to w,
// until the end of the stream.
func (r *Reader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		switch err := r.fill(); {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
		put, err := w.Write(r.rest)
		if put < 0 || put > len(r.rest) {
			return n, errors.New("shmring: writer returned an invalid count")
		}
		n += int64(put)
		all := put == len(r.rest)
		r.advance(put)
		switch {
		case err != nil:
			return n, err
		case !all:
			return n, io.ErrShortWrite
		}
	}
}

// fill blocks until there is something to read.
func (r *Reader) fill() error {
	for len(r.rest) == 0 && r.err == nil {
		msg, err := r.consumer.Receive(r.ctx)
		// A done context ends the call; any other error ends the stream.
		if ended := r.ctx.Err(); ended != nil && errors.Is(err, ended) {
			return ended
		}
		r.rest, r.err = msg, err
	}
	return r.err
}

// advance drops n bytes that were read. It releases a message at once when all of it has
// been read, because the next Read may come much later.
func (r *Reader) advance(n int) {
	if r.rest = r.rest[n:]; len(r.rest) == 0 {
		r.consumer.Release()
	}
}

// Close closes the consumer. The writer then gets ErrClosed, and so does a later Read.
func (r *Reader) Close() error {
	r.rest = nil // the memory belongs to the producer again
	if r.err == nil {
		r.err = fmt.Errorf("shmring: %w", ErrClosed)
	}
	return r.consumer.Close()
}
