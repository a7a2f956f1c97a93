//go:build !linux

package ctxio

// Read implements io.Reader. Outside Linux a context ends no read.
func (r *Reader) Read(p []byte) (int, error) { return r.file.Read(p) }

// Write implements io.Writer. Outside Linux a context ends no write.
func (w *Writer) Write(p []byte) (int, error) { return w.file.Write(p) }
