package relay_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/extra/relay"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmring"
)

// Roles of the benchmarks. A message begins with the time when it was sent.
func init() {
	roles["bench-put"] = benchPut
	roles["bench-take"] = benchTake
	roles["forget-send"] = func(args []string) error { return playRelay(args, forgetSend) }
	roles["forget-receive"] = func(args []string) error { return playRelay(args, forgetReceive) }
	roles["answer"] = func(args []string) error { return withConn(args[0], answer) }
	roles["ask"] = func(args []string) error { return withConn(args[0], ask) }
	roles["publish"] = func(args []string) error {
		return withConn(args[0], func(c *nats.Conn) error { return publish(c, args[1:]) })
	}
	roles["subscribe"] = func(args []string) error {
		return withConn(args[0], func(c *nats.Conn) error { return subscribe(c, args[1:]) })
	}
}

// pace is the pause between two paced messages.
const pace = 500 * time.Microsecond

func now() uint64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err)
	}
	return uint64(t.Nano())
}

func numbers(args []string) (count, size int, err error) {
	count, err1 := strconv.Atoi(args[0])
	size, err2 := strconv.Atoi(args[1])
	return count, size, errors.Join(err1, err2)
}

func openRing(name string) (*shmring.Ring, error) {
	return shmring.OpenOrCreate(context.Background(), name, &shmring.NamedOptions{Outlive: true})
}

// benchPut puts COUNT messages of SIZE bytes into the ring NAME, paced or not.
func benchPut(args []string) error {
	count, size, err := numbers(args[1:])
	if err != nil {
		return err
	}
	r, err := openRing(args[0])
	if err != nil {
		return err
	}
	p, err := r.JoinProducer()
	if err != nil {
		return err
	}
	fmt.Println("ready")
	ipctest.Told()
	msg := make([]byte, size)
	for range count {
		if args[3] == "paced" {
			time.Sleep(pace)
		}
		binary.NativeEndian.PutUint64(msg, now())
		if err := p.Send(context.Background(), msg); err != nil {
			return err
		}
	}
	return p.Close()
}

// benchTake receives COUNT messages, and prints the time when the last one came and the
// median of their ages in nanoseconds.
func benchTake(args []string) error {
	count, _, err := numbers(args[1:])
	if err != nil {
		return err
	}
	r, err := openRing(args[0])
	if err != nil {
		return err
	}
	c, err := r.JoinConsumer()
	if err != nil {
		return err
	}
	fmt.Println("ready")
	ages := make([]uint64, 0, count)
	for range count {
		msg, err := c.Receive(context.Background())
		if err != nil {
			return err
		}
		ages = append(ages, now()-binary.NativeEndian.Uint64(msg))
	}
	fmt.Println(now(), median(ages))
	return c.Close()
}

func median(v []uint64) uint64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// forgetSend publishes batches and does not wait for anything.
func forgetSend(r *shmring.Ring, to relay.Route) error {
	c, err := r.JoinConsumer()
	if err != nil {
		return err
	}
	msgs := make([][]byte, 512)
	var payload []byte
	for {
		n, err := c.ReceiveBatch(context.Background(), msgs)
		if err != nil {
			return err
		}
		payload = payload[:0]
		for _, msg := range msgs[:n] {
			payload = binary.LittleEndian.AppendUint32(payload, uint32(len(msg)))
			payload = append(payload, msg...)
		}
		if err := to.Conn.Publish(to.Subject, payload); err != nil {
			return err
		}
	}
}

// forgetReceive puts the messages of batches into the ring.
func forgetReceive(r *shmring.Ring, from relay.Route) error {
	p, err := r.JoinProducer()
	if err != nil {
		return err
	}
	sub, err := from.Conn.SubscribeSync(from.Subject)
	if err != nil {
		return err
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return err
	}
	var msgs [][]byte
	for {
		m, err := sub.NextMsgWithContext(context.Background())
		if err != nil {
			return err
		}
		msgs = msgs[:0]
		for b := m.Data; len(b) > 0; {
			n := binary.LittleEndian.Uint32(b)
			msgs, b = append(msgs, b[4:4+n]), b[4+n:]
		}
		if _, err := p.SendBatch(context.Background(), msgs); err != nil {
			return err
		}
	}
}

func withConn(url string, f func(*nats.Conn) error) error {
	c, err := dial(url)
	if err != nil {
		return err
	}
	return f(c)
}

func answer(c *nats.Conn) error {
	if _, err := c.Subscribe("bench", func(m *nats.Msg) { _ = m.Respond(nil) }); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return err
	}
	fmt.Println("ready")
	ipctest.Told()
	return nil
}

// ask makes paced requests and prints the median of their times.
func ask(c *nats.Conn) error {
	msg := make([]byte, 256)
	times := make([]uint64, 2000)
	for i := range times {
		time.Sleep(pace)
		began := now()
		if _, err := c.Request("bench", msg, patience); err != nil {
			return err
		}
		times[i] = now() - began
	}
	fmt.Println(median(times))
	return nil
}

// publish publishes COUNT messages of SIZE bytes.
func publish(c *nats.Conn, args []string) error {
	count, size, err := numbers(args)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	ipctest.Told()
	msg := make([]byte, size)
	for range count {
		if err := c.Publish("bench", msg); err != nil {
			return err
		}
	}
	return c.Flush()
}

// subscribe receives COUNT messages, and prints the time when the last one came.
func subscribe(c *nats.Conn, args []string) error {
	count, _, err := numbers(args)
	if err != nil {
		return err
	}
	sub, err := c.SubscribeSync("bench")
	if err == nil {
		err = sub.SetPendingLimits(-1, -1)
	}
	if err == nil {
		err = c.Flush()
	}
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for range count {
		if _, err := sub.NextMsgWithContext(context.Background()); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	fmt.Println(now())
	return nil
}

// A way passes messages from a ring to another through a server and two relays.
type way struct{ send, receive string }

var (
	acknowledged = way{"send", "receive"}
	forgetting   = way{"forget-send", "forget-receive"}
)

// run passes messages on between six processes, this one included. It returns the rate and
// the median age.
func (w way) run(b *testing.B, url string, count, size int, paced string) (rate, age float64) {
	b.Helper()
	from := open(b, "/from", shmring.NamedOptions{Capacity: 4 << 20})
	to := open(b, "/to", shmring.NamedOptions{Capacity: 4 << 20})
	relays := []*ipctest.Process{startReady(b, w.receive, url, "/to", "bench"), startReady(b, w.send, url, "/from", "bench")}
	words := []string{strconv.Itoa(count), strconv.Itoa(size), paced}
	take := startReady(b, "bench-take", append([]string{"/to"}, words...)...)
	put := startReady(b, "bench-put", append([]string{"/from"}, words...)...)
	time.Sleep(300 * time.Millisecond) // until the relays have met, and their sleep begins
	began := now()
	put.Tell("go")
	var ended, median uint64
	_, err := fmt.Sscan(take.Line(), &ended, &median)
	check(b, err)
	for _, p := range relays {
		p.Kill()
	}
	put.Wait()
	take.Wait()
	check(b, errors.Join(from.CloseAndRemove(), to.CloseAndRemove()))
	return float64(count) / (float64(ended-began) / 1e9), float64(median)
}

// published returns the rate of the client of NATS alone.
func published(b *testing.B, url string, count, size int) float64 {
	b.Helper()
	words := []string{url, strconv.Itoa(count), strconv.Itoa(size)}
	s, p := startReady(b, "subscribe", words...), startReady(b, "publish", words...)
	began := now()
	p.Tell("go")
	ended, err := strconv.ParseUint(s.Line(), 10, 64)
	check(b, err)
	p.Wait()
	s.Wait()
	return float64(count) / (float64(ended-began) / 1e9)
}

// requested returns the median time of a paced request.
func requested(b *testing.B, url string) float64 {
	b.Helper()
	a := startReady(b, "answer", url)
	q := ipctest.Start(b, "ask", nil, url)
	t, err := strconv.ParseFloat(q.Line(), 64)
	check(b, err)
	q.Wait()
	a.Kill()
	return t
}

// BenchmarkRelay compares the relay with less work of the same kind, in turn: its rate with
// relays that acknowledge nothing (more is better), the age of a message with the time of a
// request to NATS (less is better), and its rate for messages of 64 KiB with the client of
// NATS alone (more is better).
func BenchmarkRelay(b *testing.B) {
	port := freePort(b)
	startReady(b, "server", port)
	url := "nats://127.0.0.1:" + port
	for _, c := range []struct {
		name         string
		ours, theirs func() float64
	}{
		{
			"256B/forget",
			func() float64 { r, _ := acknowledged.run(b, url, 1_000_000, 256, ""); return r },
			func() float64 { r, _ := forgetting.run(b, url, 1_000_000, 256, ""); return r },
		},
		{
			"age/request",
			func() float64 { _, a := acknowledged.run(b, url, 2000, 256, "paced"); return a },
			func() float64 { return requested(b, url) },
		},
		{
			"64KiB/client",
			func() float64 { r, _ := acknowledged.run(b, url, 5000, 64<<10, ""); return r },
			func() float64 { return published(b, url, 5000, 64<<10) },
		},
	} {
		b.Run(c.name, func(b *testing.B) {
			var ratios []float64
			var ours, theirs float64
			for i := 0; b.Loop(); i++ {
				if i%2 == 0 {
					ours, theirs = c.ours(), c.theirs()
				} else {
					theirs, ours = c.theirs(), c.ours()
				}
				ratios = append(ratios, ours/theirs)
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "ratio")
			b.ReportMetric(ratios[0], "least")
			b.ReportMetric(ratios[len(ratios)-1], "most")
			b.ReportMetric(ours, "ours")
			b.ReportMetric(theirs, "theirs")
			b.ReportMetric(0, "ns/op")
		})
	}
}
