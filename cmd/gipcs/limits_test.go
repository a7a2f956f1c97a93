//go:build linux

package main

import (
	"testing"

	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

func TestCommands(t *testing.T) {
	for _, tt := range []struct {
		limit       limits.Limit
		orphaned    uint64
		free, raise string
	}{
		{
			limits.Limit{Name: "SHMMNI", Kind: ref.Shm, Sysctl: "kernel.shmmni", Value: 7},
			1, `gipcs rm --orphans --idle 1h --where 'kind == "shm"' --yes`, "sysctl -w kernel.shmmni=14",
		},
		{limits.Limit{Name: "MSGMNI", Kind: ref.Msg, Sysctl: "kernel.msgmni", Value: 7}, 0, "", "sysctl -w kernel.msgmni=14"},
		{limits.Limit{Name: "SEMVMX", Kind: ref.Sem, Value: 7}, 0, "", ""},
		{limits.Limit{Name: "SHMALL", Kind: ref.Shm, Sysctl: "kernel.shmall", Value: 18446744073692774399}, 0, "", ""},
		{
			limits.Limit{Name: "size", Kind: ref.PShm, Value: 1 << 40},
			8192, `gipcs rm --orphans --older-than 1h --where 'kind in ["pshm", "psem"]' --yes`, "mount -o remount,size=2199023255552 /dev/shm",
		},
		{
			limits.Limit{Name: "nr_inodes", Kind: ref.PShm, Value: 7},
			1, `gipcs rm --orphans --older-than 1h --where 'kind in ["pshm", "psem"]' --yes`, "mount -o remount,nr_inodes=14 /dev/shm",
		},
		{
			limits.Limit{Name: "queues_max", Kind: ref.PMsg, Sysctl: "fs.mqueue.queues_max", Value: 7},
			1, `gipcs rm --orphans --idle 1h --where 'kind == "pmsg"' --yes`, "sysctl -w fs.mqueue.queues_max=14",
		},
		{limits.Limit{Name: "RLIMIT_MSGQUEUE", Kind: ref.PMsg, Value: 819200}, 0, "", "ulimit -q 1638400"},
		// After a limit was lowered, more than the limit may be in use.
		{limits.Limit{Name: "MSGMNI", Kind: ref.Msg, Sysctl: "kernel.msgmni"}, 0, "", "sysctl -w kernel.msgmni=2"},
		{limits.Limit{Name: "MSGMNI", Kind: ref.Msg, Sysctl: "kernel.msgmni", Value: 2, Use: 8}, 0, "", "sysctl -w kernel.msgmni=16"},
		// The queue's own limit is 20 bytes; MSGMNB is the same or more.
		{limits.Limit{Name: "MSGMNB", Kind: ref.Msg, Sysctl: "kernel.msgmnb", Value: 20, Preset: 20}, 0, "", "sysctl -w kernel.msgmnb=40"},
		{limits.Limit{Name: "MSGMNB", Kind: ref.Msg, Sysctl: "kernel.msgmnb", Value: 20, Preset: 16384}, 0, "", ""},
	} {
		h := limits.Holding{Limit: tt.limit, Orphaned: tt.orphaned}
		raise, err := suggester{}.raiseCommand(h)
		if free := (suggester{}).freeCommand(h); free != tt.free || raise != tt.raise || err != nil {
			t.Errorf("%s: %s, %s, %v; want %s, %s", h.Name, free, raise, err, tt.free, tt.raise)
		}
	}
}
