package limits

import (
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// sample has an orphan and an object in use of some kinds.
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
		{Limit{Name: "queues_max", Kind: ref.PMsg, Value: 7, Counted: true}, 7, 3},
		{Limit{Name: "msg_max", Kind: ref.PMsg, Value: 7, Counted: true}, 5, 3},
		{Limit{Name: "queues_max", Kind: ref.PMsg, Value: 7}, 7, 99},
	} {
		l := tt.limit
		l.Use = 99
		if l.Count(sample()); l.Value != tt.value || l.Use != tt.use {
			t.Errorf("%s: %d of %d, want %d of %d", l.Name, l.Use, l.Value, tt.use, tt.value)
		}
	}
}

func TestCommands(t *testing.T) {
	for _, tt := range []struct {
		limit       Limit
		orphaned    uint64
		free, raise string
	}{
		{
			Limit{Name: "SHMMNI", Kind: ref.Shm, Sysctl: "kernel.shmmni", Value: 7},
			1, `gipcs rm --orphans --idle 1h --where 'kind == "shm"' --yes`, "sysctl -w kernel.shmmni=14",
		},
		{Limit{Name: "MSGMNI", Kind: ref.Msg, Sysctl: "kernel.msgmni", Value: 7}, 0, "", "sysctl -w kernel.msgmni=14"},
		{Limit{Name: "SEMVMX", Kind: ref.Sem, Value: 7}, 0, "", ""},
		{
			Limit{Name: "size", Kind: ref.PShm, Value: 1 << 40},
			8192, `gipcs rm --orphans --older-than 1h --where 'kind in ["pshm", "psem"]' --yes`, "mount -o remount,size=2199023255552 /dev/shm",
		},
		{
			Limit{Name: "nr_inodes", Kind: ref.PShm, Value: 7},
			1, `gipcs rm --orphans --older-than 1h --where 'kind in ["pshm", "psem"]' --yes`, "mount -o remount,nr_inodes=14 /dev/shm",
		},
		{
			Limit{Name: "queues_max", Kind: ref.PMsg, Sysctl: "fs.mqueue.queues_max", Value: 7},
			1, `gipcs rm --orphans --idle 1h --where 'kind == "pmsg"' --yes`, "sysctl -w fs.mqueue.queues_max=14",
		},
		// What is used may be more than a limit that was lowered.
		{Limit{Name: "MSGMNI", Kind: ref.Msg, Sysctl: "kernel.msgmni"}, 0, "", "sysctl -w kernel.msgmni=2"},
		{Limit{Name: "MSGMNI", Kind: ref.Msg, Sysctl: "kernel.msgmni", Value: 2, Use: 8}, 0, "", "sysctl -w kernel.msgmni=16"},
		// A queue has 20 bytes for itself, or 5 messages.
		{Limit{Name: "MSGMNB", Kind: ref.Msg, Sysctl: "kernel.msgmnb", Value: 20, Counted: true}, 0, "", "sysctl -w kernel.msgmnb=40"},
		{Limit{Name: "MSGMNB", Kind: ref.Msg, Sysctl: "kernel.msgmnb", Value: 16384, Counted: true}, 0, "", ""},
		{Limit{Name: "msg_max", Kind: ref.PMsg, Sysctl: "fs.mqueue.msg_max", Value: 10, Counted: true}, 3, `gipcs rm --orphans --idle 1h --where 'kind == "pmsg"' --yes`, ""},
	} {
		h := NewHolding(tt.limit, sample(), account.New())
		raise, err := h.RaiseCommand()
		if h.Orphaned != tt.orphaned || h.FreeCommand() != tt.free || raise != tt.raise || err != nil {
			t.Errorf("%s: %d orphaned, %s, %s, %v; want %d, %s, %s", h.Name, h.Orphaned, h.FreeCommand(), raise, err, tt.orphaned, tt.free, tt.raise)
		}
	}
}

// TestFullestQueue is a limit of each queue: who holds what is in use is told of one.
func TestFullestQueue(t *testing.T) {
	h := NewHolding(Limit{Name: "MSGMNB", Kind: ref.Msg, Value: 16384, Counted: true}, sample(), account.New())
	if len(h.Owners) != 1 || h.Use != 10 || h.Owners[0].Amount != 10 || h.Value != 20 || h.Preset != 16384 {
		t.Errorf("%+v: want 10 of the 20 bytes of one queue, which was made for 16384", h)
	}
}
