package integration_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
)

// TestStreams passes lines and bytes through gshm send and gshm recv.
func TestStreams(t *testing.T) {
	t.Parallel()
	gshm := filepath.Join(install(t, "gshm"), "gshm")
	for name, test := range map[string]func(*testing.T, string){
		"several senders":                 testSeveralSenders,
		"one after the other":             testSendersInTurn,
		"lines of all lengths":            testLineLengths,
		"a line that is too long":         testLineTooLong,
		"a sender of several is killed":   testOneOfSeveralKilled,
		"the receiver of lines is killed": testLineReceiverKilled,
		"lines and bytes do not mix":      testKindsDiffer,
		"bytes at random sizes":           testRandomBytes,
		"pipes become wider":              testWidePipes,
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			test(t, gshm)
		})
	}
}

// linesOf returns the lines of one sender, each with its sender and number.
func linesOf(who string, lines int) string {
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "%s %d %s\n", who, i, strings.Repeat("x", i*7%300))
	}
	return b.String()
}

// wantLines checks that got consists of complete lines, and that each sender's lines
// are its whole text, in order.
func wantLines(t *testing.T, got string, texts map[string]string) {
	t.Helper()
	of := make(map[string]*strings.Builder)
	for line := range strings.Lines(got) {
		who, _, _ := strings.Cut(line, " ")
		if of[who] == nil {
			of[who] = new(strings.Builder)
		}
		of[who].WriteString(line)
	}
	for who, text := range texts {
		if of[who] == nil || of[who].String() != text {
			t.Errorf("the lines of %s differ from what it sent", who)
		}
	}
	if len(of) != len(texts) {
		t.Errorf("lines of %d senders, want %d", len(of), len(texts))
	}
}

// testSeveralSenders: several senders pass lines at once through a ring much smaller
// than their texts.
func testSeveralSenders(t *testing.T, gshm string) {
	const senders, lines = 5, 2000
	receiver := start(t, gshm, "recv", "key:7", "--create", "--size=64K", "--messages", "--senders", strconv.Itoa(senders))
	texts := make(map[string]string)
	var all []*program
	for i := range senders {
		who := fmt.Sprintf("sender%d", i)
		texts[who] = linesOf(who, lines)
		p := start(t, gshm, "send", "key:7", "--messages")
		p.feed(texts[who])
		all = append(all, p)
	}
	wantLines(t, receiver.ends(0), texts)
	for _, p := range all {
		p.ends(0)
		p.says("")
	}
}

// testSendersInTurn: a sender that ends before the next one begins does not end the
// receiver, and a last line without newline stays separate.
func testSendersInTurn(t *testing.T, gshm string) {
	receiver := start(t, gshm, "recv", "/lines", "--create", "--messages", "-n", "3")
	for _, text := range []string{"one\ntwo", "", "three\n\nfour"} {
		p := start(t, gshm, "send", "/lines", "--messages")
		p.feed(text)
		p.ends(0)
	}
	if got, want := receiver.ends(0), "one\ntwo\nthree\n\nfour"; got != want {
		t.Errorf("received %q, want %q", got, want)
	}
}

func testLineLengths(t *testing.T, gshm string) {
	var text bytes.Buffer
	for _, n := range []int{0, 1, 62, 63, 64, 65, 4095, 4096, 65534, 65535, 65536, 65537, 131071} {
		text.WriteString(strings.Repeat("y", n) + "\n")
	}
	receiver := start(t, gshm, "recv", "key:7", "--messages")
	p := start(t, gshm, "send", "key:7", "--messages", "--create", "--size=256K")
	p.feed(text.String())
	if got := receiver.ends(0); got != text.String() {
		t.Errorf("received %d bytes, want the %d that were sent", len(got), text.Len())
	}
	p.ends(0)
}

func testLineTooLong(t *testing.T, gshm string) {
	receiver := start(t, gshm, "recv", "key:7", "--create", "--size=64K", "--messages")
	p := start(t, gshm, "send", "key:7", "--messages")
	p.feed("fits\n" + strings.Repeat("z", 32<<10) + "\n")
	p.ends(1)
	p.says("gshm: a line is longer than the 32768 bytes that this ring can take; --size makes a larger one\n")
	if got := receiver.ends(1); got != "fits\n" {
		t.Errorf("received %q, want the line that fits", got)
	}
	receiver.says("gshm: the sender has ended too early: not all has arrived\n")
}

// testOneOfSeveralKilled kills one of two senders. Everything it had sent arrives, the
// other one continues, and the receiver finally reports that something is missing.
func testOneOfSeveralKilled(t *testing.T, gshm string) {
	receiver := start(t, gshm, "recv", "key:7", "--create", "--messages")
	killed, other := start(t, gshm, "send", "key:7", "--messages"), start(t, gshm, "send", "key:7", "--messages")
	other.tell("other 0")
	receiver.hear("^other 0$")
	killed.tell("killed 0")
	receiver.hear("^killed 0$")
	killed.signal(unix.SIGKILL)
	killed.ends(128 + int(unix.SIGKILL))
	other.feed("other 1\nother 2\n")
	other.ends(0)
	if got := receiver.ends(1); got != "other 1\nother 2\n" {
		t.Errorf("received %q, want the other sender's lines", got)
	}
	receiver.says("gshm: the sender has ended too early: not all has arrived\n")
}

// testLineReceiverKilled: the senders end, and the next receiver recreates the ring.
func testLineReceiverKilled(t *testing.T, gshm string) {
	receiver := start(t, gshm, "recv", "key:7", "--create", "--messages")
	p := start(t, gshm, "send", "key:7", "--messages")
	p.tell("first")
	receiver.hear("^first$")
	receiver.signal(unix.SIGKILL)
	receiver.ends(128 + int(unix.SIGKILL))
	p.ends(1)
	p.says("gshm: the receiver has ended too early: not all has arrived\n")

	receiver = start(t, gshm, "recv", "key:7", "--create", "--messages")
	p = start(t, gshm, "send", "key:7", "--messages")
	p.feed("second\n")
	p.ends(0)
	if got := receiver.ends(0); got != "second\n" {
		t.Errorf("received %q, want only what was sent afterwards", got)
	}
}

func testKindsDiffer(t *testing.T, gshm string) {
	receiver := start(t, gshm, "recv", "key:7", "--create", "--messages")
	first := start(t, gshm, "send", "key:7", "--messages")
	first.tell("here")
	receiver.hear("^here$")
	p := start(t, gshm, "send", "key:7")
	p.ends(1)
	p.says(`gshm: the ring in segment \d+ is for lines: give --messages\n`)
	p = start(t, gshm, "recv", "key:7", "--messages")
	p.ends(1)
	p.says("gshm: the ring is in use: it has a receiver already\n")
	first.feed("")
	first.ends(0)
	receiver.ends(0)
}

// testRandomBytes writes pieces of all sizes, so that reads can end anywhere.
func testRandomBytes(t *testing.T, gshm string) {
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 3<<20)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	p := start(t, gshm, "send", "/bytes", "--create", "--size=64K")
	receiver := start(t, gshm, "recv", "/bytes")
	go func() {
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(100_000))
			if _, err := p.stdin.Write(rest[:n]); err != nil {
				t.Error(err)
				break
			}
			rest = rest[n:]
		}
		p.stdin.Close()
	}()
	got, err := io.ReadAll(receiver.stdout)
	if err != nil || sha256.Sum256(got) != sha256.Sum256(data) {
		t.Errorf("received %d bytes, %v, want the %d that were sent", len(got), err, len(data))
	}
	p.ends(0)
	receiver.ends(0)
}

// testWidePipes: gshm asks for pipes of 1 MiB on both sides.
func testWidePipes(t *testing.T, gshm string) {
	sender, receiver := start(t, gshm, "send", "/wide", "--create"), start(t, gshm, "recv", "/wide")
	_, err := io.WriteString(sender.stdin, "a line\n")
	check(t, err)
	_, err = io.ReadFull(receiver.stdout, make([]byte, 7))
	check(t, err)
	for what, pipe := range map[string]any{"standard input": sender.stdin, "standard output": receiver.pipe} {
		size, err := unix.FcntlInt(pipe.(interface{ Fd() uintptr }).Fd(), unix.F_GETPIPE_SZ, 0)
		if size != 1<<20 || err != nil {
			t.Errorf("the pipe of %s holds %d bytes, %v, want 1 MiB", what, size, err)
		}
	}
	check(t, sender.stdin.Close())
	sender.ends(0)
	receiver.ends(0)
}

// TestStreamKilled kills one side at a random moment. The other side ends, with status
// 0 only if everything arrived, and the next pair can work.
func TestStreamKilled(t *testing.T) {
	gshm := filepath.Join(install(t, "gshm"), "gshm")
	for name, args := range map[string][]string{
		"segment, bytes": {"key:7"},
		"segment, lines": {"key:7", "--messages"},
		"object, bytes":  {"/killed"},
		"object, lines":  {"/killed", "--messages"},
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			args = append(args, "--create", "--size=64K")
			text := linesOf("sender", 20_000)
			for round := range ipctest.Rounds(t, 6, 1) {
				killedPair(t, gshm, append(args, "--wait=200ms"), text, round%2 == 0)
				sender, receiver := start(t, slices.Concat([]string{gshm, "send"}, args)...), start(t, slices.Concat([]string{gshm, "recv"}, args)...)
				sender.feed(text)
				if got := receiver.ends(0); got != text {
					t.Errorf("the next receiver got %d bytes, want the %d that were sent", len(got), len(text))
				}
				sender.ends(0)
			}
		})
	}
}

// TestStreamKilledFar kills one side, in a pid namespace of its own, while the other side
// waits for it. The other side must end within half a second.
func TestStreamKilledFar(t *testing.T) {
	gshm := filepath.Join(install(t, "gshm"), "gshm")
	far := []string{"unshare", "--pid", "--fork", "--kill-child", gshm}
	for _, args := range [][]string{{"key:7", "--create"}, {"key:7", "--create", "--messages"}, {"/far", "--create"}, {"/far", "--create", "--messages"}} {
		for _, roles := range [][2]string{{"send", "recv"}, {"recv", "send"}} {
			t.Run(strings.Join(args, " ")+" "+roles[0], func(t *testing.T) {
				inNamespace(t)
				victim := start(t, slices.Concat(far, roles[:1], args)...)
				survivor := start(t, slices.Concat([]string{gshm}, roles[1:], args)...)
				sender, receiver := victim, survivor
				if roles[0] == "recv" {
					sender, receiver = survivor, victim
				}
				_, err := io.WriteString(sender.stdin, "a line\n")
				check(t, err)
				line := make([]byte, 7)
				_, err = io.ReadFull(receiver.stdout, line)
				check(t, err)
				watch := ipctest.StartWatch(t)
				check(t, victim.cmd.Process.Kill())
				survivor.ends(1)
				if took, tooLong := watch.Stop(500 * time.Millisecond); tooLong {
					t.Errorf("%s ended %v after the other side; want half a second", roles[1], took)
				}
				survivor.says(`gshm: [^\n]+\n`)
				_ = exec.Command(gshm, "rm", args[0]).Run() // a victim that made it did not remove it
			})
		}
	}
}

func killedPair(t *testing.T, gshm string, args []string, text string, killSender bool) {
	sender, receiver := start(t, slices.Concat([]string{gshm, "send"}, args)...), start(t, slices.Concat([]string{gshm, "recv"}, args)...)
	sender.feed(text)
	victim, survivor := receiver, sender
	if killSender {
		victim, survivor = sender, receiver
	}
	time.AfterFunc(time.Duration(rand.IntN(30))*time.Millisecond, func() {
		_ = victim.cmd.Process.Kill() // it may have ended
	})
	got, err := io.ReadAll(receiver.stdout)
	check(t, err)
	_ = victim.cmd.Wait() // killed or not
	_ = survivor.cmd.Wait()
	if !strings.HasPrefix(text, string(got)) {
		t.Errorf("received %d bytes that are not a prefix", len(got))
	}
	switch status := exitCode(survivor.cmd.ProcessState); {
	case status == 0 && string(got) != text:
		t.Errorf("%s ended with status 0, but %d of %d bytes have arrived", survivor.cmd.Args[1], len(got), len(text))
	case status != 0:
		if status != 1 {
			t.Errorf("%s ended with status %d", survivor.cmd.Args[1], status)
		}
		survivor.says(`gshm: [^\n]+\n`)
	}
}

// BenchmarkSendRecvBesideCat passes 2 GiB of a cached file to /dev/null, through gshm
// send and gshm recv and through two cats and a pipe, in alternating pairs. It reports
// how much faster gshm is.
//
//	go test -run '^$' -bench SendRecvBesideCat -benchtime 1x ./integration
func BenchmarkSendRecvBesideCat(b *testing.B) {
	gshm := filepath.Join(install(b, "gshm"), "gshm")
	if err := enterNamespace(); err != nil {
		b.Fatal(err)
	}
	const size, pairs = 2 << 30, 7
	file := filepath.Join(b.TempDir(), "file")
	check(b, exec.Command("dd", "if=/dev/zero", "of="+file, "bs=1M", "count="+strconv.Itoa(size>>20), "status=none").Run())
	check(b, exec.Command("cat", file).Run())
	ours := func() time.Duration {
		return timePipeline(b, gshm+` send key:7 --create <"$0" & `+gshm+` recv key:7 >/dev/null && wait $!`, file)
	}
	theirs := func() time.Duration { return timePipeline(b, `cat "$0" | cat >/dev/null`, file) }
	var ratios, speeds, speedsCat []float64
	for pair := range pairs {
		var took [2]time.Duration
		for turn := range 2 { // each goes first in every other pair
			which := (pair + turn) % 2
			took[which] = []func() time.Duration{ours, theirs}[which]()
		}
		ratios = append(ratios, took[1].Seconds()/took[0].Seconds())
		speeds = append(speeds, size/took[0].Seconds()/1e9)
		speedsCat = append(speedsCat, size/took[1].Seconds()/1e9)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(speeds), "GB/s")
	b.ReportMetric(median(speedsCat), "cat-GB/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(slices.Min(ratios), "ratio-min")
	b.ReportMetric(slices.Max(ratios), "ratio-max")
}

// timePipeline returns how long a shell script takes.
func timePipeline(b *testing.B, script, file string) time.Duration {
	b.Helper()
	cmd := exec.Command("sh", "-c", script, file)
	cmd.Stderr = os.Stderr
	began := time.Now()
	check(b, cmd.Run())
	return time.Since(began)
}
