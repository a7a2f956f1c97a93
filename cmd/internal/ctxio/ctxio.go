package ctxio

import (
	"context"
	"io"
	"os"
)

// A Reader reads from a file until its context ends.
type Reader struct {
	ctx  context.Context
	file *os.File
	idle func() error
}

// NewReader returns a Reader of a file that the process was started with, which the os
// package does not poll. While a Read waits, it calls idle, unless nil, several times a
// second. An error from idle ends the Read.
func NewReader(ctx context.Context, file *os.File, idle func() error) *Reader {
	return &Reader{ctx, file, idle}
}

// A Writer writes to a file until its context ends.
type Writer struct {
	ctx  context.Context
	file *os.File
}

// NewWriter returns a Writer; file is as for NewReader.
func NewWriter(ctx context.Context, file *os.File) *Writer { return &Writer{ctx, file} }

var (
	_ io.Reader = (*Reader)(nil)
	_ io.Writer = (*Writer)(nil)
)
