package ctxio

import (
	"context"
	"io"
	"os"
)

// A Reader reads from a file until its context is done.
type Reader struct {
	ctx  context.Context
	file *os.File
	idle func() error
}

// NewReader returns a Reader of a file, which the os package must not wait for: it
// is what a process was started with. While a Read waits, idle, unless it is nil, is
// called several times a second, and ends the Read if it returns an error.
func NewReader(ctx context.Context, file *os.File, idle func() error) *Reader {
	return &Reader{ctx, file, idle}
}

// A Writer writes to a file until its context is done.
type Writer struct {
	ctx  context.Context
	file *os.File
}

// NewWriter returns a Writer to a file like that of NewReader.
func NewWriter(ctx context.Context, file *os.File) *Writer { return &Writer{ctx, file} }

var (
	_ io.Reader = (*Reader)(nil)
	_ io.Writer = (*Writer)(nil)
)
