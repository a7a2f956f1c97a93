package shmring

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// A Writer makes a ring the writing end of a byte stream. Each Write becomes one or
// more messages, without their bounds meaning anything. It is not for use by
// several goroutines at once.
type Writer struct {
	ctx      context.Context
	producer *Producer
	chunk    int
}

// A Reader makes a ring the reading end of a byte stream. It is not for use by
// several goroutines at once.
type Reader struct {
	ctx      context.Context
	consumer *Consumer
	rest     []byte // of the message that was received last
	err      error  // what ended the stream
}

var (
	_ io.WriteCloser = (*Writer)(nil)
	_ io.ReaderFrom  = (*Writer)(nil)
	_ io.ReadCloser  = (*Reader)(nil)
	_ io.WriterTo    = (*Reader)(nil)
)

// mostChunk is as far as larger pieces made a stream faster.
const mostChunk = 1 << 20

// Writer returns a stream into the ring, which uses p from now on. All its waiting
// ends when ctx is done. In a ring for Many the pieces of several streams mix.
func (p *Producer) Writer(ctx context.Context) *Writer {
	// A sixteenth leaves both sides pieces to work on.
	return &Writer{ctx: ctx, producer: p, chunk: int(min(p.ring.capacity/16, mostChunk))}
}

// Reader returns the stream out of the ring, which uses c from now on. All its
// waiting ends when ctx is done.
func (c *Consumer) Reader(ctx context.Context) *Reader { return &Reader{ctx: ctx, consumer: c} }

// Write implements io.Writer. It waits while the ring is full. Errors are those of
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

// ReadFrom implements io.ReaderFrom: it reads from r, until io.EOF, straight into the
// memory of the ring. In a ring for Many a Read of r that waits makes all wait.
func (w *Writer) ReadFrom(r io.Reader) (n int64, err error) {
	for {
		got, readErr, err := w.readOnce(r)
		n += int64(got)
		switch {
		case err != nil:
			return n, err
		case readErr == io.EOF: // an error that wraps io.EOF is a failure: io.Copy has it so
			return n, nil
		case readErr != nil:
			return n, readErr
		}
	}
}

// readOnce makes a message of one Read. err is the ring's, readErr that of r.
func (w *Writer) readOnce(r io.Reader) (n int, readErr, err error) {
	claim, err := w.producer.Claim(w.ctx, w.chunk)
	if err != nil {
		return 0, nil, err
	}
	committed := false
	defer func() {
		if !committed { // also where r panics or ends its goroutine
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
	// A reader that says it read more than there was room for is ErrTooLarge.
	if err = claim.CommitN(n); err != nil {
		return 0, nil, err
	}
	committed = true
	return n, readErr, nil
}

// Flush waits until the reader has taken everything that was written. Errors are those
// of Producer.Flush: ErrClosed if it has closed before.
func (w *Writer) Flush() error { return w.producer.Flush(w.ctx) }

// Close closes the producer: after what was written the reader sees io.EOF. It does not
// wait until that has been read; Flush does. The other direction of a conversation,
// which is another ring, is not affected.
func (w *Writer) Close() error { return w.producer.Close() }

// Read implements io.Reader. It waits while the ring is empty. The end is io.EOF if
// all producers have closed, ErrPeerDied if one has died: then something is missing.
// Other errors are those of Consumer.Receive.
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

// WriteTo implements io.WriterTo: it writes straight from the memory of the ring to
// w, until the end of the stream.
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

// fill waits until there is something to read.
func (r *Reader) fill() error {
	for len(r.rest) == 0 && r.err == nil {
		msg, err := r.consumer.Receive(r.ctx)
		// A context that is done ends a call; everything else ends the stream.
		if ended := r.ctx.Err(); ended != nil && errors.Is(err, ended) {
			return ended
		}
		r.rest, r.err = msg, err
	}
	return r.err
}

// advance drops n bytes that were read. A message that was read whole goes back to
// the writer at once, since the next Read may be long in coming.
func (r *Reader) advance(n int) {
	if r.rest = r.rest[n:]; len(r.rest) == 0 {
		r.consumer.Release()
	}
}

// Close closes the consumer: the writer gets ErrClosed. So does who reads on.
func (r *Reader) Close() error {
	r.rest = nil // is the producer's again
	if r.err == nil {
		r.err = fmt.Errorf("shmring: %w", ErrClosed)
	}
	return r.consumer.Close()
}
