package integration_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// A memory is shared memory of some kind that was never touched.
type memory struct {
	bytes    []byte
	prefault func() error
	release  func() error
}

// segmentMemory returns a System V segment, marked for removal.
func segmentMemory(size int64, o *sysv.SegmentOptions) (memory, error) {
	o.Mode = 0o600
	segment, err := sysv.CreateSegment(sysv.Private, size, o)
	if err != nil {
		return memory{}, err
	}
	mem, err := segment.Attach(nil)
	if err := errors.Join(err, segment.Remove()); err != nil {
		return memory{}, err
	}
	return memory{mem.Bytes(), mem.Prefault, mem.Detach}, nil
}

// fileMemory returns a POSIX memory file.
func fileMemory(size int64, o *posix.MemfdOptions) (memory, error) {
	object, err := posix.CreateMemfd("touch", size, o)
	if err != nil {
		return memory{}, err
	}
	m, err := object.Map(nil)
	if err := errors.Join(err, object.Close()); err != nil {
		return memory{}, err
	}
	return memory{m.Bytes(), m.Prefault, m.Unmap}, nil
}

// BenchmarkFirstTouch measures how long it takes to make 1 GiB of shared memory ready
// (including its pages, if they are prefaulted), to write it for the first time, and to
// write it again. Huge pages need 512 pages of 2 MiB in their pool: sysctl
// vm.nr_hugepages.
func BenchmarkFirstTouch(b *testing.B) {
	const size, rounds = 1 << 30, 3
	for _, bb := range []struct {
		name     string
		make     func() (memory, error)
		prefault bool
	}{
		{"segment", func() (memory, error) { return segmentMemory(size, nil) }, false},
		{"segment,populate", func() (memory, error) { return segmentMemory(size, nil) }, true},
		{"segment,huge", func() (memory, error) {
			return segmentMemory(size, &sysv.SegmentOptions{HugePages: sysv.DefaultHugePages})
		}, false},
		{"segment,huge,populate", func() (memory, error) {
			return segmentMemory(size, &sysv.SegmentOptions{HugePages: sysv.DefaultHugePages})
		}, true},
		{"memfd", func() (memory, error) { return fileMemory(size, nil) }, false},
		{"memfd,reserve", func() (memory, error) { return fileMemory(size, &posix.MemfdOptions{Reserve: true}) }, false},
		{"memfd,prefault", func() (memory, error) { return fileMemory(size, nil) }, true},
		{"memfd,huge", func() (memory, error) {
			return fileMemory(size, &posix.MemfdOptions{HugePages: posix.DefaultHugePages})
		}, false},
	} {
		b.Run(bb.name, func(b *testing.B) {
			steps := make([][]float64, 3)
			for range rounds {
				var m memory
				times := timed(b, func() (err error) {
					if m, err = bb.make(); errors.Is(err, unix.ENOMEM) {
						b.Skip("SKIPPED: not enough huge pages; sysctl vm.nr_hugepages=512")
					}
					if err == nil && bb.prefault {
						err = m.prefault()
					}
					return err
				}, func() error { clear(m.bytes); return nil },
					func() error { clear(m.bytes); return nil })
				for i, t := range times {
					steps[i] = append(steps[i], t.Seconds()*1000)
				}
				if err := m.release(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(0, "ns/op")
			for i, unit := range []string{"ms-ready", "ms-first", "ms-again"} {
				b.ReportMetric(median(steps[i]), unit)
			}
		})
	}
}

// timed returns how long each step took.
func timed(b *testing.B, steps ...func() error) (times []time.Duration) {
	for _, step := range steps {
		began := time.Now()
		if err := step(); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(began))
	}
	return times
}

// BenchmarkHugeStream streams 2 GiB between two goroutines, alternately through a ring
// in huge pages and one in ordinary pages, all present.
func BenchmarkHugeStream(b *testing.B) {
	for _, bb := range []struct {
		name     string
		capacity int
	}{{"4MiB", 4 << 20}, {"256MiB", 256 << 20}} {
		b.Run(bb.name, func(b *testing.B) {
			const pairs = 5
			const hugePage = 2 << 20
			size := int64(shmring.Size(bb.capacity)+hugePage-1) / hugePage * hugePage
			var ratios, ours []float64
			for range pairs {
				small := streamIn(b, bb.capacity, func() (memory, error) { return fileMemory(size, nil) })
				huge := streamIn(b, bb.capacity, func() (memory, error) {
					return fileMemory(size, &posix.MemfdOptions{HugePages: posix.DefaultHugePages})
				})
				ratios, ours = append(ratios, huge/small), append(ours, small)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(ours), "GB/s-small")
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(slices.Min(ratios), "ratio-min")
			b.ReportMetric(slices.Max(ratios), "ratio-max")
		})
	}
}

// streamIn returns how many GB per second pass through a ring in new memory.
func streamIn(b *testing.B, capacity int, open func() (memory, error)) float64 {
	m, err := open()
	if errors.Is(err, unix.ENOMEM) {
		b.Skip("SKIPPED: not enough huge pages; sysctl vm.nr_hugepages=512")
	}
	if err == nil {
		err = m.prefault()
	}
	if err != nil {
		b.Fatal(err)
	}
	defer m.release()
	ring, err := shmring.Create(m.bytes, &shmring.Options{Capacity: capacity})
	if err != nil {
		b.Fatal(err)
	}
	c, errConsumer := ring.JoinConsumer()
	p, errProducer := ring.JoinProducer()
	if err := errors.Join(errConsumer, errProducer); err != nil {
		b.Fatal(err)
	}
	const total = 2 << 30
	began := time.Now()
	sent := make(chan error, 1)
	go func() { sent <- pour(p, total) }()
	n, err := drain(c)
	took := time.Since(began)
	if err := errors.Join(err, <-sent, c.Close()); err != nil || n != total {
		b.Fatalf("%d bytes: %v", n, err)
	}
	return total / took.Seconds() / 1e9
}

// streamChunk is the size of each read and write.
const streamChunk = 256 << 10

// pour writes a stream of total bytes.
func pour(p *shmring.Producer, total int64) error {
	w, chunk := p.Writer(context.Background()), make([]byte, streamChunk)
	for ; total > 0; total -= streamChunk {
		if _, err := w.Write(chunk); err != nil {
			return err
		}
	}
	return w.Close()
}

// drain reads a stream to its end and returns its length.
func drain(c *shmring.Consumer) (n int64, err error) {
	r, chunk := c.Reader(context.Background()), make([]byte, streamChunk)
	for {
		got, err := r.Read(chunk)
		n += int64(got)
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
	}
}
