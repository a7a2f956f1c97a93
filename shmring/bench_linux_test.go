package shmring_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/sysvipc/gipc/shmring"
)

// These benchmarks run our code and a C program that does the same work alternately, and
// report the median, lowest and highest ratio of a pair. SHMRING_PAIRS is the number of
// pairs (5). One iteration is enough:
//
//	go test -run '^$' -bench . -benchtime 1x ./shmring

// A contender does the work once and returns units per second.
type contender func(b *testing.B) float64

// duel runs ours and theirs alternately.
func duel(b *testing.B, unit string, scale float64, ours, theirs contender) {
	b.Helper()
	pairs := 5
	if s := os.Getenv("SHMRING_PAIRS"); s != "" {
		pairs = number(s)
	}
	var ratios, us, them []float64
	for range b.N {
		for pair := range pairs {
			var o, t float64
			for turn := range 2 { // each goes first in every other pair
				if (pair+turn)%2 == 0 {
					o = ours(b)
				} else {
					t = theirs(b)
				}
			}
			ratios, us, them = append(ratios, o/t), append(us, o/scale), append(them, t/scale)
		}
	}
	slices.Sort(ratios)
	b.Logf("ratios %.3g", ratios) // they may have several modes
	slices.Sort(us)
	slices.Sort(them)
	b.ReportMetric(0, "ns/op") // meaningless here
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(ratios[0], "ratio-min")
	b.ReportMetric(ratios[len(ratios)-1], "ratio-max")
	b.ReportMetric(us[len(us)/2], unit+"-ours")
	b.ReportMetric(them[len(them)/2], unit+"-theirs")
}

// rate parses "UNITS NANOSECONDS" and returns units per second.
func rate(b *testing.B, cmd *exec.Cmd) float64 {
	b.Helper()
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 77 {
		b.Skip("SKIPPED: the C peer gets no IPC namespace of its own")
	}
	if err != nil {
		b.Fatalf("%v: %v", cmd.Args, err)
	}
	var units, ns float64
	if _, err := fmt.Sscan(string(out), &units, &ns); err != nil {
		b.Fatalf("%v: %q: %v", cmd.Args, out, err)
	}
	return units / ns * 1e9
}

// between runs one consumer and some producers on a new ring. With Many, this process stays
// a producer meanwhile, so that the consumer sees no end between two producers.
func between(b *testing.B, capacity int, kind shmring.Producers, consume func(*os.File) *exec.Cmd, produce ...func(*os.File) *exec.Cmd) float64 {
	b.Helper()
	ring, f := newRing(b, capacity, kind)
	var keeper *shmring.Producer
	if kind == shmring.Many {
		keeper = producer(b, ring)
	}
	var result float64
	work := []func(){func() { result = rate(b, consume(f)) }}
	for _, p := range produce {
		work = append(work, func() { must(b, p(f)) })
	}
	together(work...)
	if keeper != nil {
		keeper.Close()
	}
	return result
}

func goSide(b *testing.B, role string, args ...any) func(*os.File) *exec.Cmd {
	return func(f *os.File) *exec.Cmd { return goPeer(b, self(b), f, role, args...) }
}

func cSide(program, role string, args ...any) func(*os.File) *exec.Cmd {
	return func(f *os.File) *exec.Cmd { return command(program, f, append([]any{role}, args...)...) }
}

const (
	messageSize = 256
	messageRing = 4 << 20
)

// BenchmarkMessagesAgainstPeer compares one producer and one consumer with the program that
// GIPC_PEER names. Called with SIZE and COUNT, the program sends COUNT messages of SIZE
// bytes from one process to another, copied in and copied out, and prints how many arrived
// and the nanoseconds from the first to the last.
func BenchmarkMessagesAgainstPeer(b *testing.B) {
	peer := os.Getenv("GIPC_PEER")
	if peer == "" {
		b.Skip("GIPC_PEER names no program")
	}
	for size, count := range map[int]int{64: 16_000_000, 256: 8_000_000, 4096: 2_000_000, 1 << 20: 20_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			duel(b, "M/s", 1e6, func(b *testing.B) float64 {
				return between(b, messageRing, shmring.One, goSide(b, "consume", count), goSide(b, "produce", count, size))
			}, func(b *testing.B) float64 { return rate(b, command(peer, nil, size, count)) })
		})
	}
}

// goMessages sends messages of 256 bytes from n producers, copied in and copied out.
func goMessages(n int) contender {
	kind := shmring.One
	if n > 1 {
		kind = shmring.Many
	}
	return func(b *testing.B) float64 {
		const count = 8_000_000
		var from []func(*os.File) *exec.Cmd
		for range n {
			from = append(from, goSide(b, "produce", count/n, messageSize))
		}
		return between(b, messageRing, kind, goSide(b, "consume", count), from...)
	}
}

func messageQueue(program string, producers int) contender {
	return func(b *testing.B) float64 {
		return rate(b, command(program, nil, "msg", 400_000, messageSize, producers))
	}
}

func BenchmarkMessagesAgainstC(b *testing.B) {
	c := compileC(b, "ring")
	duel(b, "M/s", 1e6, goMessages(1), func(b *testing.B) float64 {
		const count = 8_000_000
		return between(b, messageRing, shmring.One, cSide(c, "consume", count), cSide(c, "produce", count, messageSize))
	})
}

func BenchmarkMessagesAgainstMsgsnd(b *testing.B) {
	duel(b, "M/s", 1e6, goMessages(1), messageQueue(compileC(b, "peers"), 1))
}

func BenchmarkFourProducersAgainstMsgsnd(b *testing.B) {
	duel(b, "M/s", 1e6, goMessages(4), messageQueue(compileC(b, "peers"), 4))
}

// BenchmarkBatchesAgainstC sends and receives 32 messages at a time.
func BenchmarkBatchesAgainstC(b *testing.B) {
	c := compileC(b, "ring")
	const count = 8_000_000
	duel(b, "M/s", 1e6, func(b *testing.B) float64 {
		return between(b, messageRing, shmring.One, goSide(b, "consumeBatches", count), goSide(b, "produceBatches", count, messageSize))
	}, func(b *testing.B) float64 {
		return between(b, messageRing, shmring.One, cSide(c, "consume", count), cSide(c, "produce", count, messageSize))
	})
}

const (
	streamBytes = uint64(4 << 30)
	streamRing  = 4 << 20
	streamChunk = streamRing / 16
)

// goStream writes a stream from a buffer. The role named by reader reads it.
func goStream(reader string) contender {
	return func(b *testing.B) float64 {
		return between(b, streamRing, shmring.One, goSide(b, reader), goSide(b, "source", streamBytes, streamChunk))
	}
}

// stream64 is a stream in C, in pieces of 64 KiB. The kernel often puts both of its
// processes on one processor, where they alternate with a warm cache. On two processors,
// they must wake each other.
func stream64(program, how string, bytes uint64, apart int) contender {
	return func(b *testing.B) float64 {
		return rate(b, command(program, nil, how, bytes, 64<<10, apart))
	}
}

func BenchmarkStreamAgainstPipe(b *testing.B) {
	duel(b, "GB/s", 1e9, goStream("sink"), stream64(compileC(b, "peers"), "pipe", streamBytes, 0))
}

func BenchmarkStreamAgainstPipeApart(b *testing.B) {
	duel(b, "GB/s", 1e9, goStream("sink"), stream64(compileC(b, "peers"), "pipe", streamBytes, 1))
}

func BenchmarkStreamAgainstPair(b *testing.B) {
	duel(b, "GB/s", 1e9, goStream("sink"), stream64(compileC(b, "peers"), "pair", streamBytes, 0))
}

func BenchmarkStreamAgainstPairApart(b *testing.B) {
	duel(b, "GB/s", 1e9, goStream("sink"), stream64(compileC(b, "peers"), "pair", streamBytes, 1))
}

func memcpy(program string) contender {
	return func(b *testing.B) float64 {
		return rate(b, command(program, nil, "memcpy", 4*streamBytes, streamChunk, streamRing))
	}
}

// BenchmarkStreamAgainstMemcpy copies in and copies out.
func BenchmarkStreamAgainstMemcpy(b *testing.B) {
	duel(b, "GB/s", 1e9, goStream("sink"), memcpy(compileC(b, "peers")))
}

// BenchmarkStreamInPlaceAgainstMemcpy copies in and reads every cache line where it
// lies.
func BenchmarkStreamInPlaceAgainstMemcpy(b *testing.B) {
	duel(b, "GB/s", 1e9, goStream("sum"), memcpy(compileC(b, "peers")))
}

// BenchmarkSend measures a message in one goroutine, without a peer.
func BenchmarkSend(b *testing.B) {
	for name, kind := range map[string]shmring.Producers{"One": shmring.One, "Many": shmring.Many} {
		b.Run(name, func(b *testing.B) {
			ring, _ := newRing(b, messageRing, kind)
			p, c, ctx := producer(b, ring), consumer(b, ring), b.Context()
			msg := make([]byte, messageSize)
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Send(ctx, msg); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Receive(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
