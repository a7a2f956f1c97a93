package shmring_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// roles are what this test binary does as a child. The first three and numbers take the
// same arguments as testdata/ring.c and print the same.
var roles = map[string]func(args []string) error{
	"produce": produce,
	"consume": func(args []string) error { return consume(number(args[0]), false) },
	"verify":  func([]string) error { return consume(0, true) },

	"produceBatches": produceBatches,
	"consumeBatches": consumeBatches,
	"source":         source,
	"sink":           sink,
	"sum":            sumUp,

	"numbers": sendNumbers,
	"doomed":  doomedProducer,
	"reader":  doomedConsumer,
	"holder":  holdRole,
	"churn":   churn,
	"leave":   leave,
	"meet":    meet,
	"await":   awaitRing,
	"unlink":  unlink,
	"outlive": outlive,
	"stream":  streamOut,
	"mad":     scribbleRing,

	"broadcaster": doomedWriter,
	"writer":      holdWriter,
	"listener":    doomedReader,
	"subscriber":  holdSubscription,
	"storer":      storePages,
	"sender":      doomedSender,

	"server":      doomedServer,
	"caller":      doomedClient,
	"holdService": holdService,
	"echoService": echoService,
	"echoSockets": echoSockets,
	"madService":  scribbleService,

	"drain":        drain,
	"drainRing":    drainRing,
	"watchFrames":  watchFrames,
	"drainChan":    drainChan,
	"drainSocket":  drainSocket,
	"madBroadcast": scribbleBroadcast,
	"madCell":      scribbleCell,

	"write": writeMessages,
	"read":  readMessages,
	"watch": watchPages,

	"selector": selectAndReply,

	"giver":  give,
	"noProc": withoutProc,
}

// The environment variable childMemory says where the ring is: the identifier of a System
// V segment, the name of a POSIX object, or how a ring without a name was handed over. If it
// is not set, the ring is in descriptor 3.
const childMemory = "SHMRING_TEST_MEMORY"

func openInherited() (*shmring.Ring, error) {
	where := os.Getenv(childMemory)
	if rest, ok := strings.CutPrefix(where, "meet:"); ok {
		return openWhere(rest)
	}
	if where == memoryInherited || where == memorySent {
		return openHanded(where)
	}
	if strings.HasPrefix(where, "/") {
		o, err := posix.OpenObject(where, posix.ReadWrite)
		if err != nil {
			return nil, err
		}
		defer o.Close()
		m, err := o.Map(nil)
		if err != nil {
			return nil, err
		}
		return shmring.OpenIn(m)
	}
	if where != "" {
		a, err := sysv.Segment(number(where)).Attach(nil)
		if err != nil {
			return nil, err
		}
		return shmring.OpenIn(a)
	}
	mem, err := mapFile(os.NewFile(3, "memory"))
	if err != nil {
		return nil, err
	}
	return shmring.Open(mem)
}

// openWhere opens the ring for many producers with a name or a key.
func openWhere(w string) (*shmring.Ring, error) {
	return where(w).openOrCreate(context.Background(), &shmring.NamedOptions{Producers: shmring.Many, Capacity: 4096})
}

func produce(args []string) error {
	count, size := uint64(number(args[0])), number(args[1])
	ring, err := openInherited()
	if err != nil {
		return err
	}
	p, err := ring.JoinProducer()
	if err != nil {
		return err
	}
	ctx := context.Background()
	source := bytes.Repeat([]byte{1}, size)
	for i := range count {
		n := size
		if size == 0 {
			n = varied(i)
		}
		claim, err := p.Claim(ctx, n)
		if err != nil {
			return err
		}
		if size == 0 {
			fill(claim.Bytes(), i)
		} else {
			binary.NativeEndian.PutUint64(source, i)
			copy(claim.Bytes(), source)
		}
		if err := claim.Commit(); err != nil {
			return err
		}
	}
	return p.Close()
}

// consume receives expected messages, or all if that is 0.
func consume(expected int, verify bool) error {
	ring, err := openInherited()
	if err != nil {
		return err
	}
	c, err := ring.JoinConsumer()
	if err != nil {
		return err
	}
	var first time.Time
	var count uint64
	held, want := make([]byte, 1<<20), make([]byte, 1<<20)
	for msg, err := range c.Messages(context.Background()) {
		if err != nil {
			return err
		}
		if count == 0 {
			first = time.Now()
		}
		n := copy(held[:], msg)
		if verify {
			fill(want[:n], count)
			if n != varied(count) || !bytes.Equal(held[:n], want[:n]) {
				return fmt.Errorf("message %d of %d bytes is wrong", count, n)
			}
		}
		if count++; count == uint64(expected) {
			break
		}
	}
	fmt.Println(count, time.Since(first).Nanoseconds())
	return nil // without closing, so that no producer gets an error before it has ended
}

const batchLength = 32

func produceBatches(args []string) error {
	count, size := number(args[0]), number(args[1])
	ring, err := openInherited()
	if err != nil {
		return err
	}
	p, err := ring.JoinProducer()
	if err != nil {
		return err
	}
	batch := make([][]byte, batchLength)
	for i := range batch {
		batch[i] = make([]byte, size)
	}
	for i := 0; i < count; i += len(batch) {
		if _, err := p.SendBatch(context.Background(), batch); err != nil {
			return err
		}
	}
	return p.Close()
}

func consumeBatches([]string) error {
	ring, err := openInherited()
	if err != nil {
		return err
	}
	c, err := ring.JoinConsumer()
	if err != nil {
		return err
	}
	var first time.Time
	batch := make([][]byte, batchLength)
	var held [4096]byte
	for count := 0; ; {
		n, err := c.ReceiveBatch(context.Background(), batch)
		if err != nil {
			fmt.Println(count, time.Since(first).Nanoseconds())
			return nil
		}
		if count == 0 {
			first = time.Now()
		}
		for _, msg := range batch[:n] {
			copy(held[:], msg)
		}
		count += n
	}
}

// source writes a stream: BYTES CHUNK.
func source(args []string) error {
	left, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil {
		return err
	}
	chunk := bytes.Repeat([]byte{1}, number(args[1]))
	ring, err := openInherited()
	if err != nil {
		return err
	}
	p, err := ring.JoinProducer()
	if err != nil {
		return err
	}
	w := p.Writer(context.Background())
	for left > 0 {
		n, err := w.Write(chunk[:min(uint64(len(chunk)), left)])
		if err != nil {
			return err
		}
		left -= uint64(n)
	}
	return w.Close()
}

// sink reads a stream by copying it out.
func sink([]string) error {
	ring, err := openInherited()
	if err != nil {
		return err
	}
	c, err := ring.JoinConsumer()
	if err != nil {
		return err
	}
	r := c.Reader(context.Background())
	var first time.Time
	var total uint64
	buf := make([]byte, ring.Capacity()/16)
	for {
		n, err := r.Read(buf)
		if err != nil {
			fmt.Println(total, time.Since(first).Nanoseconds())
			return nil
		}
		if total == 0 {
			first = time.Now()
		}
		total += uint64(n)
	}
}

// sumUp reads a stream in place, one word of every cache line.
func sumUp([]string) error {
	ring, err := openInherited()
	if err != nil {
		return err
	}
	c, err := ring.JoinConsumer()
	if err != nil {
		return err
	}
	var first time.Time
	var total, sum uint64
	for msg, err := range c.Messages(context.Background()) {
		if err != nil {
			return err
		}
		if total == 0 {
			first = time.Now()
		}
		for i := 0; i+8 <= len(msg); i += 64 {
			sum += binary.NativeEndian.Uint64(msg[i:])
		}
		total += uint64(len(msg))
	}
	fmt.Println(total, time.Since(first).Nanoseconds())
	if sum == 0 {
		return errors.New("nothing but zeros")
	}
	return nil
}

// sendNumbers is one of several producers: NUMBER COUNT.
func sendNumbers(args []string) error {
	id, count := number(args[0]), uint64(number(args[1]))
	ring, err := openInherited()
	if err != nil {
		return err
	}
	p, err := ring.JoinProducer()
	if err != nil {
		return err
	}
	for seq := range count {
		if err := sendNumbered(context.Background(), p, id, seq); err != nil {
			return err
		}
	}
	return p.Close()
}

// A ledger is memory besides the ring, in descriptor 4, in which doomed children record
// their progress, so that a test knows what they did before they were killed.
type ledger []atomic.Uint64

func openLedger(mem []byte) ledger {
	return unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&mem[0])), len(mem)/8)
}

// inherited opens what lies in descriptor fd of this child.
func inherited[M, T any](fd uintptr, open func(M) (T, error)) (opened T, err error) {
	m, err := posix.MapFile(os.NewFile(fd, "memory"), nil)
	if err != nil {
		return opened, err
	}
	return open(any(m).(M))
}

func inheritedLedger() (ledger, error) {
	mem, err := mapFile(os.NewFile(4, "ledger"))
	if err != nil {
		return nil, err
	}
	return openLedger(mem), nil
}

// doomedProducer, NUMBER, sends numbered messages in all ways until it is killed, starting
// with 0. In the ledger it records the number of the next message before it commits one or
// several (in word 2n+1) and afterwards (in word 2n).
func doomedProducer(args []string) error {
	id := number(args[0])
	book, err := inheritedLedger()
	if err != nil {
		return err
	}
	done, begun := &book[2*id], &book[2*id+1]
	ring, err := openInherited()
	if err != nil {
		return err
	}
	p, err := ring.JoinProducer()
	if err != nil {
		return err
	}
	ctx := context.Background()
	fmt.Println("ready")
	for seq := uint64(0); ; {
		n := uint64(1)
		switch rand.IntN(4) {
		case 0:
			n = uint64(1 + rand.IntN(4))
			var batch [][]byte
			for i := range n {
				msg := make([]byte, numberedHeader+varied(seq+i+uint64(id)))
				numbered(msg, id, seq+i)
				batch = append(batch, msg)
			}
			begun.Store(seq + n)
			_, err = p.SendBatch(ctx, batch)
		case 1: // more is claimed than used
			var claim shmring.Claim
			length := numberedHeader + varied(seq+uint64(id))
			if claim, err = p.Claim(ctx, length+rand.IntN(500)); err != nil {
				return err
			}
			numbered(claim.Bytes()[:length], id, seq)
			begun.Store(seq + n)
			err = claim.CommitN(length)
		case 2: // a claim is aborted
			var claim shmring.Claim
			if claim, err = p.Claim(ctx, rand.IntN(500)); err != nil {
				return err
			}
			n, err = 0, claim.Abort()
		default:
			begun.Store(seq + n)
			err = sendNumbered(ctx, p, id, seq)
		}
		if err != nil {
			return err
		}
		seq += n
		done.Store(seq)
	}
}

// doomedConsumer receives numbered messages of producer 0 until it is killed. In word 0 of
// the ledger it records the number of the next message, after checking one and before
// releasing it.
func doomedConsumer([]string) error {
	book, err := inheritedLedger()
	if err != nil {
		return err
	}
	ring, err := openInherited()
	if err != nil {
		return err
	}
	c, err := ring.JoinConsumer()
	if err != nil {
		return err
	}
	fmt.Println("ready")
	next, first := book[0].Load(), true
	var s shmring.Selector
	for ctx := context.Background(); ; {
		msg, err := receiveOrSelect(ctx, c, &s)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		id, seq := binary.NativeEndian.Uint64(msg), binary.NativeEndian.Uint64(msg[8:])
		want := make([]byte, numberedHeader+varied(seq+id))
		numbered(want, int(id), seq)
		// The message at which the previous consumer was killed comes again.
		again := first && seq+1 == next
		if id != 0 || seq != next && !again || !bytes.Equal(msg, want) {
			return fmt.Errorf("message %d of %d, %d bytes, want %d", seq, id, len(msg), next)
		}
		first, next = false, seq+1
		book[0].Store(next)
	}
}

// receiveOrSelect receives a message in one of the two ways to wait for it.
func receiveOrSelect(ctx context.Context, c *shmring.Consumer, s *shmring.Selector) ([]byte, error) {
	if rand.IntN(2) == 0 {
		return c.Receive(ctx)
	}
	for {
		if _, err := s.Select(ctx, c); err != nil {
			return nil, err
		}
		if msg, ok, err := c.TryReceive(); ok || err != nil {
			return msg, err
		}
	}
}

// holdRole takes a role and keeps it until it is killed or reads a command: "oom" exhausts
// its memory, "exec" executes another program, "end" leaves in order.
func holdRole(args []string) error {
	ring, err := openInherited()
	if err != nil {
		return err
	}
	var end func() error
	switch args[0] {
	case "consumer":
		var c *shmring.Consumer
		if c, err = ring.JoinConsumer(); err == nil {
			end = c.Close
		}
	case "producer":
		var p *shmring.Producer
		if p, err = ring.JoinProducer(); err == nil {
			end = p.Close
		}
	case "claim":
		var p *shmring.Producer
		if p, err = ring.JoinProducer(); err == nil {
			var claim shmring.Claim
			claim, err = p.Claim(context.Background(), 100)
			end = func() error { return errors.Join(claim.CommitN(copy(claim.Bytes(), "late")), p.Close()) }
		}
	}
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch in.Text() {
		case "oom":
			return ipctest.ExhaustMemory()
		case "exec":
			return unix.Exec("/bin/sleep", []string{"sleep", "1000"}, nil)
		case "end":
			return end()
		}
	}
	return nil
}

// churn joins as a producer and leaves, COUNT times.
func churn(args []string) error {
	ring, err := openInherited()
	if err != nil {
		return err
	}
	for range number(args[0]) {
		p, err := ring.JoinProducer()
		if err != nil {
			return err
		}
		if err := p.Close(); err != nil {
			return err
		}
	}
	return nil
}

// awaitRing waits for the ring NAME.
func awaitRing(args []string) error {
	ring, err := where(args[0]).await(context.Background(), nil)
	if err != nil {
		return err
	}
	return ring.Close()
}

// meet opens the ring NAME, COUNT times, and checks that the name leads to it while it is
// open. It removes the ring if nobody else has it open.
func meet(args []string) error {
	open := where(args[0]).openOrCreate
	for range number(args[1]) {
		ring, err := open(context.Background(), nil)
		if err != nil {
			return err
		}
		for range 2 {
			found, err := open(context.Background(), nil)
			if err != nil {
				return err
			}
			if found.ID() != ring.ID() {
				return errors.New("the name leads to another ring than the one that is open")
			}
			if err := found.Close(); err != nil {
				return err
			}
		}
		if err := ring.Remove(); err != nil && !errors.Is(err, shmring.ErrBusy) {
			return err
		}
		if err := ring.Close(); err != nil {
			return err
		}
	}
	return nil
}

// leave opens the ring NAME and leaves it, COUNT times.
func leave(args []string) error {
	for range number(args[1]) {
		ring, err := where(args[0]).openOrCreate(context.Background(), nil)
		if err != nil {
			return err
		}
		if err := ring.CloseAndRemove(); err != nil {
			return err
		}
	}
	return nil
}

// unlink makes or opens the ring, joins it, and unlinks it, again and again.
func unlink(args []string) error {
	for range number(args[1]) {
		ring, err := where(args[0]).openOrCreate(context.Background(), &shmring.NamedOptions{Producers: shmring.Many})
		if err != nil {
			return err
		}
		p, err := ring.JoinProducer()
		if err != nil {
			return err
		}
		if err := errors.Join(ring.Unlink(), p.Close(), ring.Close()); err != nil {
			return err
		}
	}
	return nil
}

// streamOut copies standard input into the ring, as one stream.
func streamOut([]string) error {
	ring, err := openInherited()
	if err != nil {
		return err
	}
	p, err := ring.JoinProducer()
	if err != nil {
		return err
	}
	w := p.Writer(context.Background())
	if _, err := io.Copy(w, os.Stdin); err != nil {
		return err
	}
	return w.Close()
}

// scribble overwrites words of the memory until it is killed: SEED. spoil picks a word and
// its new value.
func scribble(args []string, spoil func(words ledger, rng *rand.Rand) (word int, value uint64)) error {
	mem, err := mapFile(os.NewFile(3, "memory"))
	if err != nil {
		return err
	}
	words := openLedger(mem)
	for rng := rand.New(rand.NewPCG(uint64(number(args[0])), 0)); ; {
		word, value := spoil(words, rng)
		words[word].Store(value)
		if rng.IntN(100) == 0 {
			time.Sleep(time.Duration(rng.IntN(200)) * time.Microsecond)
		}
	}
}

// garble returns what to write instead of v.
func garble(words ledger, v uint64, rng *rand.Rand) uint64 {
	switch rng.IntN(5) {
	case 0:
		return rng.Uint64()
	case 1:
		return v ^ 1<<rng.IntN(64)
	case 2:
		return v + 64
	case 3: // a value from another place
		return words[rng.IntN(len(words))].Load()
	}
	return 0
}

// scribbleOver overwrites words of the memory, except for its last bytes; every second
// time, it picks one of the words in live.
func scribbleOver(args []string, last int, live []int) error {
	return scribble(args, func(words ledger, rng *rand.Rand) (word int, value uint64) {
		words = words[:len(words)-last/8]
		word = rng.IntN(len(words))
		if rng.IntN(2) == 0 {
			word = live[rng.IntN(len(live))]
		}
		return word, garble(words, words[word].Load(), rng)
	})
}

// scribbleRing overwrites words of the ring until it is killed: SEED.
func scribbleRing(args []string) error {
	live := []int{16, 32, 33, 48, 64, 80, 81, 128, 132, 384}
	var control ledger // only header and state words can do harm
	return scribble(args, func(words ledger, rng *rand.Rand) (word int, value uint64) {
		if control == nil {
			control = words[:len(words)-ringCapacity(words)/8]
		}
		if rng.IntN(6) == 0 { // a record that seems to be of about this lap
			return 512 + rng.IntN(len(control)-512), (words[32].Load()+rng.Uint64N(1<<14))<<8 | rng.Uint64N(256)
		}
		word = rng.IntN(len(control))
		if rng.IntN(2) == 0 {
			word = live[rng.IntN(len(live))]
		}
		return word, garble(control, words[word].Load(), rng)
	})
}

// ringCapacity returns the capacity in the header of a ring, within sane bounds.
func ringCapacity(words ledger) int { return int(min(words[7].Load(), uint64(len(words)*8-4096))) }
