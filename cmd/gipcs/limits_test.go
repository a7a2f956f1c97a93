//go:build linux

package main

import (
	"regexp"
	"strings"
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
		// What is used may be more than a limit that was lowered.
		{limits.Limit{Name: "MSGMNI", Kind: ref.Msg, Sysctl: "kernel.msgmni"}, 0, "", "sysctl -w kernel.msgmni=2"},
		{limits.Limit{Name: "MSGMNI", Kind: ref.Msg, Sysctl: "kernel.msgmni", Value: 2, Use: 8}, 0, "", "sysctl -w kernel.msgmni=16"},
		// A queue has 20 bytes for itself: more than MSGMNB, or less.
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

// TestMetrics reads what is printed as the Prometheus text format has it: the HELP and
// TYPE of a family before its samples, which stand together, and no sample twice.
func TestMetrics(t *testing.T) {
	all := []limits.Limit{
		{Name: "SHMMNI", Kind: ref.Shm, Value: 4096, Use: 7, Counted: true},
		{Name: "SHMMAX", Kind: ref.Shm, Value: 18446744073692774399},
		{Name: "a\"b\\c\nd", Kind: ref.PShm, Value: 1, Use: 1, Counted: true},
	}
	var text strings.Builder
	if err := writeMetrics(&text, all); err != nil {
		t.Fatal(err)
	}
	sample := regexp.MustCompile(`^([a-z_]+)(\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\}) [0-9]+$`)
	samples, family := make(map[string]bool), ""
	for line := range strings.Lines(text.String()) {
		line = strings.TrimSuffix(line, "\n")
		switch fields := strings.Fields(line); {
		case strings.HasPrefix(line, "# HELP "):
			family = fields[2]
		case strings.HasPrefix(line, "# TYPE "):
			if fields[2] != family || fields[3] != "gauge" || strings.HasSuffix(family, "_total") {
				t.Errorf("%s follows the help of %s", line, family)
			}
		default:
			if m := sample.FindStringSubmatch(line); m == nil || m[1] != family || samples[m[1]+m[2]] {
				t.Errorf("%s: no sample of %s, or the second one", line, family)
			}
			samples[line[:strings.LastIndexByte(line, ' ')]] = true
		}
	}
	for _, want := range []string{
		`gipc_limit{limit="shmmni",kind="shm"} 4096` + "\n", `gipc_limit_used{limit="shmmni",kind="shm"} 7` + "\n",
		`gipc_limit_used{limit="a\"b\\c\nd",kind="pshm"} 1` + "\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("there is no %s in\n%s", want, &text)
		}
	}
	if strings.Contains(text.String(), `gipc_limit_used{limit="shmmax"`) {
		t.Errorf("a limit that is not counted has a use:\n%s", &text)
	}
}
