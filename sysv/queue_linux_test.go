package sysv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
	"golang.org/x/sys/unix"
)

const queueKey sysv.Key = 0x5e8

func send(t testing.TB, q sysv.Queue, mtype int, text string) {
	t.Helper()
	if ok, err := q.TrySend(mtype, []byte(text)); !ok || err != nil {
		t.Fatalf("TrySend(%d, %q) = %v, %v", mtype, text, ok, err)
	}
}

// receive takes a message without waiting, and returns "TYPE:TEXT", the error, or
// nothing.
func receive(q sysv.Queue, size int, o sysv.ReceiveOptions) string {
	return message(size, func(buf []byte) (int, int, bool, error) { return q.TryReceive(buf, o) })
}

func peek(q sysv.Queue, index, size int, truncate bool) string {
	return message(size, func(buf []byte) (int, int, bool, error) { return q.Peek(index, buf, truncate) })
}

func message(size int, take func([]byte) (int, int, bool, error)) string {
	buf := make([]byte, size)
	n, mtype, ok, err := take(buf)
	var failed *sysv.Error
	switch {
	case errors.As(err, &failed):
		return failed.Err.Error()
	case !ok:
		return ""
	}
	return fmt.Sprintf("%d:%s", mtype, buf[:n])
}

func TestCreateQueueErrors(t *testing.T) {
	queue := createQueue(t, queueKey, 0o600)
	_, err := sysv.CreateQueue(queueKey, nil)
	wantError(t, "CreateQueue, exclusive", err, unix.EEXIST)
	wantError(t, "CreateQueue, exclusive", err, fs.ErrExist)
	_, err = sysv.CreateQueue(1, &sysv.QueueOptions{Mode: 0o600 | fs.ModeSetgid})
	wantError(t, "CreateQueue, mode with a setgid bit", err, unix.EINVAL)
	_, err = sysv.OpenQueue(1)
	wantError(t, "OpenQueue of an unknown key", err, unix.ENOENT)
	wantError(t, "OpenQueue of an unknown key", err, fs.ErrNotExist)

	if found, err := sysv.OpenQueue(queueKey); err != nil || found != queue {
		t.Errorf("OpenQueue = %v, %v, want %v", found, err, queue)
	}
}

func TestUnknownQueue(t *testing.T) {
	existing := createQueue(t, sysv.Private, 0o600)
	removed := createQueue(t, sysv.Private, 0o600)
	check(t, removed.Remove())
	for _, q := range []sysv.Queue{noID, removed, -1, math.MinInt32, sysv.Queue(beyond32(int(existing)))} {
		_, stat := q.Stat()
		_, trySend := q.TrySend(1, nil)
		_, _, _, tryReceive := q.TryReceive(nil, sysv.ReceiveOptions{})
		_, _, receive := q.Receive(t.Context(), nil, sysv.ReceiveOptions{})
		_, _, _, peek := q.Peek(0, nil, false)
		for call, err := range map[string]error{
			"Stat": stat, "Remove": q.Remove(), "Set": q.SetOwnership(sysv.Ownership{}, 1), "TrySend": trySend, "Send": q.Send(t.Context(), 1, nil),
			"TryReceive": tryReceive, "Receive": receive, "Peek": peek,
		} {
			wantError(t, call, err, unix.EINVAL)
			wantError(t, call, err, fs.ErrNotExist)
		}
	}
	if _, err := existing.Stat(); err != nil {
		t.Errorf("the queue that nobody named: %v", err)
	}
}

func TestQueueStat(t *testing.T) {
	skipWithoutQueueTimes(t)
	ipctest.SkipWithoutMode(t)
	before := kernelSecond(t)
	queue := createQueue(t, queueKey, 0o642)
	limits, err := sysv.MsgLimits()
	check(t, err)
	info, err := queue.Stat()
	check(t, err)
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	want := sysv.QueueInfo{
		ID: int(queue), Perm: sysv.Perm{Key: queueKey, UID: uid, GID: gid, CUID: uid, CGID: gid, Mode: 0o642, Seq: info.Seq},
		QBytes: uint64(limits.MaxBytes), CTime: info.CTime,
	}
	if info != want {
		t.Errorf("Stat\n got %+v\nwant %+v", info, want)
	}
	wantRecent(t, "CTime", info.CTime, before)

	send(t, queue, 1, "abc")
	send(t, queue, 2, "")
	info, err = queue.Stat()
	check(t, err)
	wantRecent(t, "STime", info.STime, before)
	if info.QNum != 2 || info.CBytes != 3 || !info.RTime.IsZero() {
		t.Errorf("QNum %d, CBytes %d, RTime %v, want 2, 3, never", info.QNum, info.CBytes, info.RTime)
	}
	if !ipctest.UnderQEMU() && (info.LSPID != os.Getpid() || info.LRPID != 0) {
		t.Errorf("LSPID %d, LRPID %d, want %d, 0", info.LSPID, info.LRPID, os.Getpid())
	}

	receive(queue, 10, sysv.ReceiveOptions{})
	info, err = queue.Stat()
	check(t, err)
	wantRecent(t, "RTime", info.RTime, before)
	if info.QNum != 1 || info.CBytes != 0 {
		t.Errorf("QNum %d, CBytes %d, want 1, 0", info.QNum, info.CBytes)
	}
}

// TestQueuePIDs lets another process send and receive.
func TestQueuePIDs(t *testing.T) {
	queue := createQueue(t, sysv.Private, 0o600)
	p := ipctest.Start(t, "queue", nil, strconv.Itoa(int(queue)))
	want := func(what string, sender, receiver int) {
		t.Helper()
		info, err := queue.Stat()
		if err != nil || info.LSPID != sender || info.LRPID != receiver {
			t.Errorf("%s: LSPID %d, LRPID %d, %v, want %d, %d", what, info.LSPID, info.LRPID, err, sender, receiver)
		}
	}
	want("new", 0, 0)
	p.Tell("send")
	p.Line()
	want("the other sent", p.PID(), 0)
	receive(queue, 10, sysv.ReceiveOptions{})
	want("this received", p.PID(), os.Getpid())
	send(t, queue, 1, "")
	p.Tell("receive")
	p.Line()
	want("and the other way round", os.Getpid(), p.PID())
}

// playQueue sends to, receives from or changes the queue args[0] as told, and prints the
// error.
func playQueue(args []string) error {
	id, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	q := sysv.Queue(id)
	for {
		switch what, number, _ := strings.Cut(ipctest.Told(), " "); what {
		case "send":
			_, err = q.TrySend(1, []byte("text"))
		case "receive":
			_, _, _, err = q.TryReceive(make([]byte, 10), sysv.ReceiveOptions{})
		case "qbytes":
			qbytes, _ := strconv.ParseUint(number, 10, 64)
			err = q.SetOwnership(sysv.Ownership{UID: nobody.Uid, GID: nobody.Gid, Mode: 0o600}, qbytes)
		}
		fmt.Println(err)
	}
}

func TestSendErrors(t *testing.T) {
	queue := createQueue(t, sysv.Private, 0o600)
	limits, err := sysv.MsgLimits()
	check(t, err)
	tests := []struct {
		name  string
		mtype int
		n     int
	}{
		{"type 0", 0, 1},
		{"negative type", -1, 1},
		{"lowest type", math.MinInt, 1},
		{"longer than MSGMAX", 1, limits.MaxSize + 1},
	}
	for _, test := range tests {
		text := make([]byte, test.n)
		wantError(t, "Send, "+test.name, queue.Send(t.Context(), test.mtype, text), unix.EINVAL)
		ok, err := queue.TrySend(test.mtype, text)
		wantError(t, "TrySend, "+test.name, err, unix.EINVAL)
		if ok {
			t.Errorf("TrySend, %s: it was sent", test.name)
		}
	}
}

// TestMessageLengths sends texts of every length at which something changes.
func TestMessageLengths(t *testing.T) {
	queue := createQueue(t, sysv.Private, 0o600)
	limits, err := sysv.MsgLimits()
	check(t, err)
	for _, n := range []int{0, 1, 7, 8, 511, 512, 513, 4000, 4048, 4049, limits.MaxSize} {
		text := bytes.Repeat([]byte{0xa5}, n)
		check(t, queue.Send(t.Context(), math.MaxInt, text))
		buf := make([]byte, n)
		got, mtype, err := queue.Receive(t.Context(), buf, sysv.ReceiveOptions{})
		if err != nil || got != n || mtype != math.MaxInt || !bytes.Equal(buf, text) {
			t.Errorf("%d bytes: received %d of type %d, %v", n, got, mtype, err)
		}
	}
}

// TestSelection receives from a queue that holds messages of the types 3 1 2 1 3.
func TestSelection(t *testing.T) {
	tests := []struct {
		o    sysv.ReceiveOptions
		want []string
	}{
		{sysv.ReceiveOptions{}, []string{"3:a", "1:b", "2:c", "1:d", "3:e", ""}},
		{sysv.ReceiveOptions{Type: 1}, []string{"1:b", "1:d", ""}},
		{sysv.ReceiveOptions{Type: 3}, []string{"3:a", "3:e", ""}},
		{sysv.ReceiveOptions{Type: 4}, []string{""}},
		{sysv.ReceiveOptions{Type: -1}, []string{"1:b", "1:d", ""}},
		{sysv.ReceiveOptions{Type: -2}, []string{"1:b", "1:d", "2:c", ""}},
		{sysv.ReceiveOptions{Type: -3}, []string{"1:b", "1:d", "2:c", "3:a", "3:e", ""}},
		{sysv.ReceiveOptions{Type: math.MinInt}, []string{"1:b", "1:d", "2:c", "3:a", "3:e", ""}},
		{sysv.ReceiveOptions{Type: 1, Except: true}, []string{"3:a", "2:c", "3:e", ""}},
		{sysv.ReceiveOptions{Type: 9, Except: true}, []string{"3:a", "1:b", "2:c", "1:d", "3:e", ""}},
	}
	for _, test := range tests {
		queue := createQueue(t, sysv.Private, 0o600)
		for i, mtype := range []int{3, 1, 2, 1, 3} {
			send(t, queue, mtype, string(rune('a'+i)))
		}
		for _, want := range test.want {
			if got := receive(queue, 10, test.o); got != want {
				t.Errorf("%+v: received %q, want %q", test.o, got, want)
			}
		}
		check(t, queue.Remove())
	}
}

// TestReceiveSelectsWhileWaiting lets one receiver for each selection wait, and sends what
// only one of them takes.
func TestReceiveSelectsWhileWaiting(t *testing.T) {
	for name, test := range map[string]struct {
		o     sysv.ReceiveOptions
		other int // a type that it does not take
		mtype int
	}{
		"type":     {sysv.ReceiveOptions{Type: 5}, 4, 5},
		"negative": {sysv.ReceiveOptions{Type: -5}, 6, 5},
		"except":   {sysv.ReceiveOptions{Type: 5, Except: true}, 5, 6},
	} {
		queue := createQueue(t, sysv.Private, 0o600)
		buf := make([]byte, 10)
		var n, mtype int
		result := background(t, func() (err error) {
			n, mtype, err = queue.Receive(t.Context(), buf, test.o)
			return err
		})
		sleeping(t, 1, "do_msgrcv")
		send(t, queue, test.other, "other")
		send(t, queue, test.mtype, "mine")
		if err := result(); err != nil || mtype != test.mtype || string(buf[:n]) != "mine" {
			t.Errorf("%s: received %d:%q, %v", name, mtype, buf[:n], err)
		}
		if got, want := receive(queue, 10, sysv.ReceiveOptions{}), fmt.Sprintf("%d:other", test.other); got != want {
			t.Errorf("%s: left %q, want %q", name, got, want)
		}
	}
}

func TestTruncation(t *testing.T) {
	queue := createQueue(t, sysv.Private, 0o600)
	send(t, queue, 1, "0123456789")
	tooBig := unix.E2BIG.Error()
	if got := receive(queue, 9, sysv.ReceiveOptions{}); got != tooBig {
		t.Errorf("a buffer too short: %q, want %q", got, tooBig)
	}
	_, _, err := queue.Receive(t.Context(), make([]byte, 9), sysv.ReceiveOptions{})
	wantError(t, "Receive, a buffer too short", err, unix.E2BIG)
	if got := peek(queue, 0, 10, false); got != "1:0123456789" {
		t.Errorf("the message did not stay: %q", got)
	}
	if got := receive(queue, 4, sysv.ReceiveOptions{Truncate: true}); got != "1:0123" {
		t.Errorf("truncated: %q, want 1:0123", got)
	}
	if got := receive(queue, 10, sysv.ReceiveOptions{}); got != "" {
		t.Errorf("the rest was not lost: %q", got)
	}

	send(t, queue, 1, "x")
	if got := receive(queue, 0, sysv.ReceiveOptions{Truncate: true}); got != "1:" {
		t.Errorf("truncated to nothing: %q", got)
	}
}

// TestTooBigWhileWaiting sends a waiting receiver a message larger than its buffer.
func TestTooBigWhileWaiting(t *testing.T) {
	queue := createQueue(t, sysv.Private, 0o600)
	result := background(t, func() error {
		_, _, err := queue.Receive(t.Context(), make([]byte, 2), sysv.ReceiveOptions{})
		return err
	})
	sleeping(t, 1, "do_msgrcv")
	send(t, queue, 1, "abc")
	wantError(t, "Receive", result(), unix.E2BIG)
	if got := receive(queue, 3, sysv.ReceiveOptions{}); got != "1:abc" {
		t.Errorf("left %q, want 1:abc", got)
	}
}

func TestPeek(t *testing.T) {
	queue := createQueue(t, sysv.Private, 0o600)
	send(t, queue, 3, "first")
	send(t, queue, 1, strings.Repeat("x", 600))
	if _, _, _, err := queue.Peek(0, make([]byte, 10), false); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this kernel has no MSG_COPY")
	}
	for range 2 {
		for _, test := range []struct {
			index, size int
			truncate    bool
			want        string
		}{
			{0, 10, false, "3:first"},
			{1, 600, false, "1:" + strings.Repeat("x", 600)},
			{2, 10, false, ""},
			{0, 4, false, unix.E2BIG.Error()},
			{0, 4, true, "3:firs"},
			{1, 3, true, "1:xxx"},
		} {
			if got := peek(queue, test.index, test.size, test.truncate); got != test.want {
				t.Errorf("Peek(%d) into %d bytes, truncate %v: %q, want %q", test.index, test.size, test.truncate, got, test.want)
			}
		}
	}
	info, err := queue.Stat()
	if err != nil || info.QNum != 2 || !info.RTime.IsZero() {
		t.Errorf("QNum %d, RTime %v, %v, want 2, never", info.QNum, info.RTime, err)
	}
}

// TestQBytes fills a queue to its limit, which counts bytes and also messages.
func TestQBytes(t *testing.T) {
	queue := createQueue(t, sysv.Private, 0o600)
	check(t, queue.SetOwnership(sysv.Ownership{Mode: 0o600}, 10))
	send(t, queue, 1, "01234567")
	if ok, err := queue.TrySend(1, []byte("89a")); ok || err != nil {
		t.Errorf("TrySend of more than fits = %v, %v, want false", ok, err)
	}
	send(t, queue, 1, "89")
	if ok, err := queue.TrySend(1, []byte("a")); ok || err != nil {
		t.Errorf("TrySend to a full queue = %v, %v, want false", ok, err)
	}
	for range 8 {
		send(t, queue, 2, "")
	}
	if ok, err := queue.TrySend(2, nil); ok || err != nil {
		t.Errorf("TrySend of an eleventh message = %v, %v, want false", ok, err)
	}

	// A sender that waits goes on once there is room.
	for _, room := range []struct {
		name string
		make func()
	}{
		{"Receive", func() { receive(queue, 10, sysv.ReceiveOptions{}) }},
		{"Set", func() { check(t, queue.SetOwnership(sysv.Ownership{Mode: 0o600}, 100)) }},
	} {
		result := background(t, func() error { return queue.Send(t.Context(), 3, nil) })
		sleeping(t, 1, "do_msgsnd")
		room.make()
		wantError(t, "Send after "+room.name, result(), nil)
	}
}

func TestQueueSet(t *testing.T) {
	ipctest.SkipWithoutMode(t)
	queue := createQueue(t, sysv.Private, 0o600)
	limits, err := sysv.MsgLimits()
	check(t, err)
	uid := uint32(os.Geteuid())
	for _, qbytes := range []uint64{math.MaxInt32 + 1, 1<<32 + 100, math.MaxUint64} {
		wantError(t, fmt.Sprintf("Set, qbytes %d", qbytes), queue.SetOwnership(sysv.Ownership{Mode: 0o600}, qbytes), unix.EINVAL)
	}
	wantError(t, "Set, uid -1", queue.SetOwnership(sysv.Ownership{UID: math.MaxUint32}, 10), unix.EINVAL)
	wantError(t, "Set, mode with a setuid bit", queue.SetOwnership(sysv.Ownership{Mode: fs.ModeSetuid}, 10), unix.EINVAL)

	const capSysResource = 24
	want := error(unix.EPERM)
	if capable(t, capSysResource) {
		want = nil
	}
	wantError(t, "Set, qbytes above MSGMNB", queue.SetOwnership(sysv.Ownership{Mode: 0o600}, uint64(limits.MaxBytes)+1), want)

	check(t, queue.SetOwnership(sysv.Ownership{Mode: 0o751}, 1000))
	info, err := queue.Stat()
	check(t, err)
	if info.QBytes != 1000 || info.Mode != 0o751 || info.UID != 0 || info.CUID != uid {
		t.Errorf("QBytes %d, Perm %+v", info.QBytes, info.Perm)
	}
}

// TestQBytesOfAnOrdinaryUser lets the owner of a queue raise and lower its limit.
func TestQBytesOfAnOrdinaryUser(t *testing.T) {
	requireUsers(t)
	queue := createQueue(t, sysv.Private, 0o600)
	limits, err := sysv.MsgLimits()
	check(t, err)
	check(t, queue.SetOwnership(sysv.Ownership{UID: nobody.Uid, GID: nobody.Gid, Mode: 0o600}, 100))
	p := ipctest.Start(t, "queue", nobody, strconv.Itoa(int(queue)))
	for _, test := range []struct {
		qbytes int
		want   error
	}{{50, nil}, {limits.MaxBytes, nil}, {limits.MaxBytes + 1, unix.EPERM}} {
		p.Tell(fmt.Sprint("qbytes ", test.qbytes))
		want := "<nil>"
		if test.want != nil {
			want = fmt.Sprintf("msgctl IPC_SET msg:%d: %v", queue, test.want)
		}
		if got := p.Line(); got != want {
			t.Errorf("qbytes %d: %s, want %s", test.qbytes, got, want)
		}
	}
}

// TestRemoveQueueWakes removes a queue while calls wait on it.
func TestRemoveQueueWakes(t *testing.T) {
	for name, test := range map[string]struct {
		at   string
		call func(context.Context, sysv.Queue) error
	}{
		"Send": {"do_msgsnd", func(ctx context.Context, q sysv.Queue) error { return q.Send(ctx, 1, []byte("y")) }},
		"Receive": {"do_msgrcv", func(ctx context.Context, q sysv.Queue) error {
			_, _, err := q.Receive(ctx, nil, sysv.ReceiveOptions{Type: 2})
			return err
		}},
	} {
		for _, ctx := range []context.Context{t.Context(), context.Background()} {
			queue := createQueue(t, sysv.Private, 0o600)
			check(t, queue.SetOwnership(sysv.Ownership{Mode: 0o600}, 1))
			send(t, queue, 1, "x")
			result := background(t, func() error { return test.call(ctx, queue) })
			sleeping(t, 1, test.at)
			check(t, queue.Remove())
			err := result()
			wantError(t, name, err, unix.EIDRM)
			wantError(t, name, err, fs.ErrNotExist)
		}
	}
}

func TestShortMessagesAllocateNothing(t *testing.T) {
	queue := createQueue(t, sysv.Private, 0o600)
	text, buf := make([]byte, 512), make([]byte, 512)
	wantNoAllocations(t, func() {
		ok, err := queue.TrySend(1, text)
		_, _, received, err2 := queue.TryReceive(buf, sysv.ReceiveOptions{})
		if !ok || !received || err != nil || err2 != nil {
			t.Error(ok, err, received, err2)
		}
	})
}

// TestLRPIDOfAWaiter shows what the manual does not say: if a receiver waits for a
// message, the kernel records its thread, not its process.
func TestLRPIDOfAWaiter(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it reads msg_lrpid from the wrong place")
	ipctest.SkipUnderQEMU(t, "msg_lrpid is read from the wrong place")
	queue := createQueue(t, sysv.Private, 0o600)
	tid := make(chan int, 1)
	received := background(t, func() error {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tid <- unix.Gettid()
		_, _, err := queue.Receive(t.Context(), nil, sysv.ReceiveOptions{})
		return err
	})
	sleeping(t, 1, "do_msgrcv")
	send(t, queue, 1, "")
	wantError(t, "Receive", received(), nil)
	info, err := queue.Stat()
	if want := <-tid; err != nil || info.LRPID != want {
		t.Errorf("LRPID %d, %v, want the thread %d of process %d", info.LRPID, err, want, os.Getpid())
	}
}
