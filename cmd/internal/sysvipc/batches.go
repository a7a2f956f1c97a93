package sysvipc

import (
	"errors"
	"iter"
)

// batch is how many objects Batches hands over at a time: enough to make handing
// over cheap, few enough to stay in the cache.
const batch = 2048

// Batches calls use with the objects of a listing, many at a time and in order. The
// slice is used again. Where there are more than a few thousand, use runs in another
// goroutine while further objects are read, but never twice at the same time, and
// not after Batches returned. The error is that of the listing, but an *Incomplete is
// none: what can't be listed is passed over, as util-linux does.
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
	full    chan []T // nil as long as there is no other goroutine
	empty   chan []T
	done    chan struct{}
}

// handOver gives a full batch to the other goroutine.
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

// finish uses what is left, and waits until all was used.
func (b *batches[T]) finish() {
	if b.full != nil {
		close(b.full)
		<-b.done
	}
	if len(b.current) > 0 {
		b.use(b.current)
	}
}
