package integration_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// peers returns programs in other languages that use System V IPC, by name. Each is a
// command that takes more arguments; peers/peer.c describes them.
func peers(t *testing.T) map[string][]string {
	t.Helper()
	peers := map[string][]string{"C": {ipctest.Compile(t, "peers/peer.c")}}
	if python, err := exec.LookPath("python3"); err != nil {
		t.Log("SKIPPED: no Python: install python3")
	} else {
		peers["Python"] = []string{python, "peers/peer.py"}
	}
	return peers
}

// ask runs a peer and returns what it prints.
func ask(t *testing.T, peer []string, words ...any) string {
	t.Helper()
	args := append([]string{}, peer[1:]...)
	for _, word := range words {
		args = append(args, fmt.Sprint(word))
	}
	cmd := exec.Command(peer[0], args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A negative key must work the same in every program.
const interopKey sysv.Key = -0x7ffffffe

func TestSegmentsOfPeers(t *testing.T) {
	for name, peer := range peers(t) {
		t.Run(name, func(t *testing.T) {
			id := ask(t, peer, "shm-make", interopKey, 5000, "from the peer")
			seg, err := sysv.OpenSegment(interopKey)
			check(t, err)
			want(t, "identifier", seg, id)
			mem, err := seg.Attach(nil)
			check(t, err)
			want(t, "size", mem.Len(), 5000)
			want(t, "contents", string(mem.Bytes()[:14]), "from the peer\x00")
			_, err = mem.WriteAt([]byte("from Go\x00"), 0)
			check(t, err)
			want(t, "what the peer reads", ask(t, peer, "shm-read", interopKey), "from Go 5000")
			check(t, mem.Detach())
			check(t, seg.Remove())

			seg, err = sysv.CreateSegment(interopKey, 777, nil)
			check(t, err)
			want(t, "what the peer reads of ours", ask(t, peer, "shm-read", interopKey), "777")
			ask(t, peer, "rm", "shm", interopKey)
			_, err = seg.Stat()
			want(t, "removed by the peer", errors.Is(err, fs.ErrNotExist), true)
		})
	}
}

func TestSetsOfPeers(t *testing.T) {
	for name, peer := range peers(t) {
		t.Run(name, func(t *testing.T) {
			id := ask(t, peer, "sem-make", interopKey, 3, 0, 32767)
			set, _, err := sysv.OpenOrCreateSet(t.Context(), interopKey, []uint16{9, 9, 9}, nil)
			check(t, err)
			want(t, "identifier", set, id)
			values, err := set.Values()
			check(t, err)
			want(t, "values", values, "[3 0 32767]")
			check(t, set.Do(t.Context(), sysv.Op{Add: -2}, sysv.Op{Num: 1, Add: 5}))
			want(t, "values that the peer sees", ask(t, peer, "sem-read", interopKey), "1 5 32767")
			ask(t, peer, "sem-op", interopKey, 1, -4)
			value, err := set.Value(1)
			check(t, err)
			want(t, "value", value, 1)
			check(t, set.Remove())

			set, _, err = sysv.OpenOrCreateSet(t.Context(), interopKey, []uint16{0, 4}, nil)
			check(t, err)
			want(t, "values of ours", ask(t, peer, "sem-read", interopKey), "0 4")

			p := ipctest.Run(t, peer[0], append(append([]string{}, peer[1:]...), "sem-wait", fmt.Sprint(interopKey), "0")...)
			want(t, "the peer", p.Line(), "waiting")
			waiting := func() int {
				n, err := set.NCount(0)
				check(t, err)
				return n
			}
			for deadline := time.Now().Add(30 * time.Second); waiting() == 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the peer does not wait")
				}
			}
			check(t, set.Do(t.Context(), sysv.Op{Add: 1}))
			want(t, "the peer", p.Line(), "taken")
			p.Wait()

			ask(t, peer, "rm", "sem", interopKey)
			_, err = set.Stat()
			want(t, "removed by the peer", errors.Is(err, fs.ErrNotExist), true)
		})
	}
}

func TestQueuesOfPeers(t *testing.T) {
	for name, peer := range peers(t) {
		t.Run(name, func(t *testing.T) {
			id := ask(t, peer, "msg-make", interopKey)
			queue, err := sysv.OpenQueue(interopKey)
			check(t, err)
			want(t, "identifier", queue, id)

			ask(t, peer, "msg-send", interopKey, 1<<30, "from the peer")
			buf := make([]byte, 100)
			n, mtype, err := queue.Receive(t.Context(), buf, sysv.ReceiveOptions{})
			check(t, err)
			want(t, "type", mtype, 1<<30)
			want(t, "text", string(buf[:n]), "from the peer")

			check(t, queue.Send(context.Background(), 7, []byte("second")))
			check(t, queue.Send(context.Background(), 5, []byte("first")))
			want(t, "what the peer receives", ask(t, peer, "msg-receive", interopKey, -7), "5 first")
			want(t, "what the peer receives", ask(t, peer, "msg-receive", interopKey, 7), "7 second")
			check(t, queue.Remove())

			queue, err = sysv.CreateQueue(interopKey, nil)
			check(t, err)
			ask(t, peer, "rm", "msg", interopKey)
			_, err = queue.Stat()
			want(t, "removed by the peer", errors.Is(err, fs.ErrNotExist), true)
		})
	}
}

// TestUtilLinux opens objects that ipcmk made, and uses ipcs and ipcrm on objects that this
// module made.
func TestUtilLinux(t *testing.T) {
	for _, tool := range []string{"ipcmk", "ipcs", "ipcrm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s: install util-linux", tool)
		}
	}
	run := func(words ...any) string { return ask(t, []string{fmt.Sprint(words[0])}, words[1:]...) }
	last := func(text string) string { return text[strings.LastIndexByte(text, ' ')+1:] }

	id := last(run("ipcmk", "-M", 5000, "-p", "0640"))
	seg := only(t, collect(t, sysv.Segments()))
	want(t, "identifier", seg.ID, id)
	want(t, "size and mode", fmt.Sprint(seg.Size, " ", seg.Mode), "5000 -rw-r-----")
	opened, err := sysv.OpenSegment(seg.Key)
	check(t, err)
	mem, err := opened.Attach(nil)
	check(t, err)
	want(t, "contents", strings.Trim(string(mem.Bytes()), "\x00"), "")
	check(t, mem.Detach())
	check(t, opened.Remove())

	id = last(run("ipcmk", "-S", 3, "-p", "0600"))
	set := only(t, collect(t, sysv.Sets()))
	want(t, "set", fmt.Sprint(set.ID, " ", set.NSems), id+" 3")
	check(t, sysv.Set(set.ID).Remove())

	id = last(run("ipcmk", "-Q"))
	queue := only(t, collect(t, sysv.Queues()))
	want(t, "queue", queue.ID, id)
	check(t, sysv.Queue(queue.ID).Remove())

	_, err = sysv.CreateSegment(interopKey, 4321, nil)
	check(t, err)
	_, err = sysv.CreateSet(interopKey, 2, nil)
	check(t, err)
	_, err = sysv.CreateQueue(interopKey, nil)
	check(t, err)
	listing := run("ipcs")
	for _, part := range []string{"4321", interopKey.String()} {
		if !strings.Contains(listing, part) {
			t.Errorf("ipcs does not show %s:\n%s", part, listing)
		}
	}
	run("ipcrm", "-M", interopKey, "-S", interopKey, "-Q", interopKey)
	for kind, open := range map[string]func() error{
		"segment": func() error { _, err := sysv.OpenSegment(interopKey); return err },
		"set":     func() error { _, err := sysv.OpenSet(interopKey); return err },
		"queue":   func() error { _, err := sysv.OpenQueue(interopKey); return err },
	} {
		want(t, kind+" removed by ipcrm", errors.Is(open(), fs.ErrNotExist), true)
	}
}

func collect[T any](t *testing.T, all func(func(T, error) bool)) (objects []T) {
	t.Helper()
	for object, err := range all {
		check(t, err)
		objects = append(objects, object)
	}
	return objects
}

func only[T any](t *testing.T, objects []T) T {
	t.Helper()
	if len(objects) != 1 {
		t.Fatalf("%d objects, want one: %v", len(objects), objects)
	}
	return objects[0]
}
