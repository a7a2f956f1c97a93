package integration_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sysvipc/gipc/sysv"
)

// volatile returns the fields that no restore brings back: users and times of use, fields
// that follow from these, and memory taken by pages of zeros.
func volatile() []string {
	return []string{
		"cpid", "lpid", "lspid", "lrpid", "atime", "dtime", "otime", "stime", "rtime", "ctime", "age", "idle",
		"creator", "lastuser", "processes", "rss", "swap", "verdict", "reasons", "program", "limits", "hidden_processes", "not_inspected",
	}
}

// dump returns everything that gipcs shows about all objects, with their contents but
// without volatile fields.
func (g gipcs) dump(t *testing.T) map[string]row {
	t.Helper()
	all := make(map[string]row)
	for _, listed := range g.rows(t, "ls", "-o", "kind,id") {
		name := fmt.Sprintf("%v:%v", listed["kind"], listed["id"])
		shown := g.show(t, name, "--hex", "16K", "--messages", "1000")
		if semaphores, ok := shown["semaphores"].([]any); ok {
			for _, s := range semaphores {
				delete(s.(map[string]any), "pid")
				delete(s.(map[string]any), "command")
			}
		}
		for _, field := range volatile() {
			delete(shown, field)
		}
		all[name] = shown
	}
	return all
}

// testThereAndBack saves, removes and restores objects of every kind.
func testThereAndBack(t *testing.T, g gipcs) {
	next, err := os.OpenFile("/proc/sys/kernel/shm_next_id", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no identifier can be chosen here: %v", err)
	}
	next.Close()
	var owner []string
	if severalUsers() {
		owner = []string{"--uid", "54321", "--gid", "54322"}
	}
	mk := func(args ...string) string {
		t.Helper()
		return strings.TrimSpace(g.prints(t, slices.Concat([]string{"mk"}, args)...))
	}
	refs := []string{
		mk("--shmem", "5000", "--key", "0x4d2", "--mode", "0640"),
		mk("--shmem", "1", "--key", "private", "--mode", "0"),
		mk(slices.Concat([]string{"--shmem", "3M", "--key", "0xfffffff0"}, owner)...),
		mk("--values", "1,0,32767,3", "--key", "0x4d2", "--mode", "0606"),
		mk("--semaphore", "1000", "--key", "private"),
		mk(slices.Concat([]string{"--queue", "--key", "0x4d2", "--qbytes", "4000"}, owner)...),
		mk("--queue", "--key", "private", "--mode", "0600"),
	}
	fill(t)
	before, whole := g.dump(t), contents(t)
	if len(before) != len(refs) {
		t.Fatalf("%d objects of %d", len(before), len(refs))
	}

	saved := filepath.Join(t.TempDir(), "saved")
	g.prints(t, slices.Concat([]string{"rm", "--backup", saved}, refs)...)
	if left := g.dump(t); len(left) > 0 {
		t.Fatalf("not removed: %v", left)
	}
	// Other objects use the identifiers meanwhile, and are removed again.
	others := []string{mk("--shmem", "1"), mk("--semaphore", "1"), mk("--queue")}
	g.prints(t, slices.Concat([]string{"rm"}, others)...)

	want(t, "restored", strings.Count(g.prints(t, "restore", saved), "restored "), len(refs))
	if diff := cmp.Diff(before, g.dump(t)); diff != "" {
		t.Errorf("shown before and after: %s", diff)
	}
	want(t, "contents", contents(t), whole)
	g.prints(t, slices.Concat([]string{"rm"}, refs)...)
}

// fill writes to all segments and sends to all queues.
func fill(t *testing.T) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{})
	for _, info := range collect(t, sysv.Segments()) {
		mem, err := sysv.Segment(info.ID).Attach(nil)
		check(t, err)
		_, err = random.Read(mem.Bytes())
		check(t, err)
		clear(mem.Bytes()[mem.Len()/3 : mem.Len()/2]) // with a hole
		check(t, mem.Detach())
	}
	for _, info := range collect(t, sysv.Queues()) {
		for i := range 40 {
			text := make([]byte, 2*i)
			_, err := random.Read(text)
			check(t, err)
			check(t, sysv.Queue(info.ID).Send(t.Context(), 1+i*i%7, text))
		}
	}
}

// contents returns digests of all segments and of all messages in order; the command
// shows them only in part.
func contents(t *testing.T) (all []string) {
	t.Helper()
	for _, info := range collect(t, sysv.Segments()) {
		mem, err := sysv.Segment(info.ID).Attach(&sysv.AttachOptions{ReadOnly: true})
		check(t, err)
		all = append(all, fmt.Sprintf("shm:%d %x", info.ID, sha256.Sum256(mem.Bytes())))
		check(t, mem.Detach())
	}
	for _, info := range collect(t, sysv.Queues()) {
		buf := make([]byte, info.QBytes)
		for i := range int(info.QNum) {
			n, mtype, ok, err := sysv.Queue(info.ID).Peek(i, buf, false)
			check(t, err)
			all = append(all, fmt.Sprintf("msg:%d %v %d %x", info.ID, ok, mtype, sha256.Sum256(buf[:n])))
		}
	}
	return all
}
