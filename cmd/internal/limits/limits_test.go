package limits

import (
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// sample returns an orphan and an object in use for some kinds.
func sample() []inventory.Object {
	use := func(v inventory.Verdict) *inventory.Use { return &inventory.Use{Verdict: v} }
	return []inventory.Object{
		{Kind: ref.Shm, Segment: &sysv.SegmentInfo{Size: 1}, Use: use(inventory.Orphan)},
		{Kind: ref.Msg, Queue: &sysv.QueueInfo{CBytes: 10, QBytes: 20}, Use: use(inventory.InUse)},
		{Kind: ref.Msg, Queue: &sysv.QueueInfo{CBytes: 15, QBytes: 100}, Use: use(inventory.InUse)},
		{Kind: ref.PShm, PShm: &posix.FileInfo{Memory: 8192}, Use: use(inventory.Orphan)},
		{Kind: ref.PSem, PSem: &posix.SemaphoreInfo{FileInfo: posix.FileInfo{Memory: 4096}}, Use: use(inventory.InUse)},
		{Kind: ref.PMsg, PMsg: &posix.QueueInfo{Known: true, Attributes: posix.Attributes{MaxMsgs: 10, CurMsgs: 2}}, Use: use(inventory.InUse)},
		{Kind: ref.PMsg, PMsg: &posix.QueueInfo{Known: true, Attributes: posix.Attributes{MaxMsgs: 5, CurMsgs: 3}}, Use: use(inventory.Orphan)},
		{Kind: ref.PMsg, PMsg: &posix.QueueInfo{}, Use: use(inventory.Unknown)},
		{Kind: ref.PMsg, PMsg: &posix.QueueInfo{FileInfo: posix.FileInfo{UID: 7}, Known: true, Attributes: posix.Attributes{MaxMsgs: 5, MsgSize: 704}}, Use: use(inventory.Unknown)},
	}
}

func TestCount(t *testing.T) {
	for _, tt := range []struct {
		limit      Limit
		value, use uint64
	}{
		{Limit{Name: "SHMMNI", Kind: ref.Shm, Value: 7, Counted: true}, 7, 1},
		{Limit{Name: "SHMALL", Kind: ref.Shm, Value: 7, Counted: true}, 7, 1},
		{Limit{Name: "SHMMAX", Kind: ref.Shm, Value: 7}, 7, 99},
		{Limit{Name: "SEMMNI", Kind: ref.Sem, Value: 7, Counted: true}, 7, 0},
		{Limit{Name: "MSGMNI", Kind: ref.Msg, Value: 7, Counted: true}, 7, 2},
		{Limit{Name: "MSGMNB", Kind: ref.Msg, Value: 7, Counted: true}, 20, 10},
		{Limit{Name: "size", Kind: ref.PShm, Value: 7, Counted: true}, 7, 12288},
		{Limit{Name: "nr_inodes", Kind: ref.PShm, Value: 7, Counted: true}, 7, 2},
		{Limit{Name: "queues_max", Kind: ref.PMsg, Value: 7, Counted: true}, 7, 4},
		{Limit{Name: "msg_max", Kind: ref.PMsg, Value: 7, Counted: true}, 5, 3},
		{Limit{Name: "queues_max", Kind: ref.PMsg, Value: 7}, 7, 99},
		{Limit{Name: "RLIMIT_MSGQUEUE", Kind: ref.PMsg, Value: 819200, Counted: true}, 819200, 4000},
	} {
		l := tt.limit
		l.Use = 99
		if l.Count(sample()); l.Value != tt.value || l.Use != tt.use {
			t.Errorf("%s: %d of %d, want %d of %d", l.Name, l.Use, l.Value, tt.use, tt.value)
		}
	}
}

// TestFullestQueue: only the fullest queue counts for the holders of a per-queue limit.
func TestFullestQueue(t *testing.T) {
	h := NewHolding(Limit{Name: "MSGMNB", Kind: ref.Msg, Value: 16384, Counted: true}, sample(), account.New())
	if len(h.Owners) != 1 || h.Use != 10 || h.Owners[0].Amount != 10 || h.Value != 20 || h.Preset != 16384 {
		t.Errorf("%+v: want 10 of the 20 bytes of one queue, which was made for 16384", h)
	}
}

// TestFullByNumber: a queue is full if it holds as many empty messages as it may hold
// bytes. A queue that may hold nothing is closed, not full.
func TestFullByNumber(t *testing.T) {
	for _, tt := range []struct {
		queue sysv.QueueInfo
		own   Limit
		ok    bool
	}{
		{sysv.QueueInfo{QBytes: 100, QNum: 100}, Limit{Value: 100, Use: 100}, true},
		{sysv.QueueInfo{QBytes: 100, QNum: 2, CBytes: 50}, Limit{Value: 100, Use: 50}, true},
		{sysv.QueueInfo{QNum: 2, CBytes: 50}, Limit{}, false},
	} {
		if own, ok := ownOfQueue(&tt.queue); ok != tt.ok || ok && own != tt.own {
			t.Errorf("%+v: %+v, %v, want %+v, %v", tt.queue, own, ok, tt.own, tt.ok)
		}
	}
}

// TestUnlimited checks the kernel's values for "no limit".
func TestUnlimited(t *testing.T) {
	for value, want := range map[uint64]bool{18446744073692774399: true, 18446744073709551615: true, 1 << 40: false, 0: false} {
		if got := (Limit{Value: value}).Unlimited(); got != want {
			t.Errorf("%d: unlimited is %v, want %v", value, got, want)
		}
	}
}
