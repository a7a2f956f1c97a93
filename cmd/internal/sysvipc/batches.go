package sysvipc

import (
	"errors"
	"iter"
)

// batch is the number of objects in a batch: enough to make passing it on cheap, few
// enough to stay in the cache.
const batch = 2048

// Batches calls use with batches of a listing's objects, in order. The slice is reused.
// If there are more than a few thousand objects, use runs in another goroutine while
// more are read, but never twice at a time, and not after Batches returns. The error is
// that of the listing, except that an *Incomplete is ignored: like util-linux, Batches
// skips what cannot be listed.
func Batches[T any](objects iter.Seq2[T, error], use func([]T)) error {
	b := batches[T]{use: use, current: make([]T, 0, 64)}
	defer b.finish()
	for object, err := range objects {
		if incomplete := (*Incomplete)(nil); errors.As(err, &incomplete) {
			return nil
		}
		if err != nil {
			return err
		}
		if b.current = append(b.current, object); len(b.current) == batch {
			b.handOver()
		}
	}
	return nil
}

type batches[T any] struct {
	use     func([]T)
	current []T
	full    chan []T // nil while there is no other goroutine
	empty   chan []T
	done    chan struct{}
}

// handOver passes a full batch to the other goroutine.
func (b *batches[T]) handOver() {
	if b.full == nil {
		b.full, b.empty, b.done = make(chan []T, 1), make(chan []T, 2), make(chan struct{})
		b.empty <- make([]T, 0, batch)
		b.empty <- make([]T, 0, batch)
		go func() {
			defer close(b.done)
			for many := range b.full {
				b.use(many)
				b.empty <- many[:0]
			}
		}()
	}
	b.full <- b.current
	b.current = <-b.empty
}

// finish passes on what is left, and waits until everything was used.
func (b *batches[T]) finish() {
	if b.full != nil {
		close(b.full)
		<-b.done
	}
	if len(b.current) > 0 {
		b.use(b.current)
	}
}
