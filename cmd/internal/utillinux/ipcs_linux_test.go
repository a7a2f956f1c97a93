package utillinux_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/sysv"
)

// c is the environment of most comparisons.
func c() environment { return environment{"LC_ALL": "C", "TZ": "UTC"} }

// options splits command lines; "" has no arguments.
func options(lines ...string) [][]string {
	split := make([][]string, len(lines))
	for i, line := range lines {
		split[i] = strings.Fields(line)
	}
	return split
}

// product returns every combination of one command line from each list. With -short, it
// returns every seventeenth of many, so that each line still occurs.
func product(lists ...[][]string) [][]string {
	all := [][]string{nil}
	for _, list := range lists {
		var longer [][]string
		for _, head := range all {
			for _, tail := range list {
				longer = append(longer, append(append([]string(nil), head...), tail...))
			}
		}
		all = longer
	}
	const many, step = 100, 17
	if !testing.Short() || len(all) < many {
		return all
	}
	var some [][]string
	for i := 0; i < len(all); i += step {
		some = append(some, all[i])
	}
	return some
}

func zones() []environment {
	var all []environment
	for _, tz := range []string{
		"", "Europe/Berlin", ":Asia/Kathmandu", "America/St_Johns", "/usr/share/zoneinfo/Asia/Tokyo",
		"EST5EDT,M3.2.0,M11.1.0", "<+0330>-3:30", "XYZ3", "CET-1CEST", "nonsense", "Nowhere/Land", "/nowhere",
	} {
		all = append(all, environment{"LC_ALL": "C", "TZ": tz})
	}
	return append(all, environment{"LC_ALL": "C"}, environment{"LC_ALL": "C.UTF-8"}, environment{})
}

func TestIpcs(t *testing.T) {
	peer(t, "ipcs")
	isolate(t)
	everyView := product(
		options("", "-m", "-q", "-s", "-a", "-mq", "-msq", "--shm", "operand -s"),
		options("", "-t", "-p", "-c", "-l", "-u", "-tc", "-lu --pid"),
		options("", "-b", "--human", "--human -b", "-b --h"),
	)
	for _, args := range everyView { // without any object
		same(t, c(), "ipcs", args...)
	}
	p := populate(t)
	for _, args := range everyView {
		same(t, c(), "ipcs", args...)
	}
	for _, env := range zones() {
		same(t, env, "ipcs", "-t")
	}
	for _, unit := range options("", "-b", "--human", "-t") {
		for kind, ids := range p.ids() {
			for _, id := range ids {
				same(t, c(), "ipcs", append(unit, "-"+kind, "-i", id)...)
			}
		}
	}
	for kind, ids := range p.ids() {
		for _, env := range zones() {
			same(t, env, "ipcs", "-"+kind+"i"+ids[0])
		}
	}
}

// ids returns the identifiers of a population, by the option for their kind.
func (p *population) ids() map[string][]string {
	ids := make(map[string][]string)
	for _, s := range p.segments {
		ids["m"] = append(ids["m"], strconv.Itoa(int(s)))
	}
	for _, q := range p.queues {
		ids["q"] = append(ids["q"], strconv.Itoa(int(q)))
	}
	for _, s := range p.sets {
		ids["s"] = append(ids["s"], strconv.Itoa(int(s)))
	}
	return ids
}

// TestSparse has few objects with high indices, which are read from /proc.
func TestSparse(t *testing.T) {
	peer(t, "ipcs")
	isolate(t)
	for _, kind := range []string{"shm", "msg", "sem"} {
		if err := os.WriteFile("/proc/sys/kernel/"+kind+"_next_id", []byte("7123456"), 0); err != nil {
			t.Skipf("kernel without checkpoint and restore: %v", err)
		}
	}
	p := &population{}
	must(t, p.segment(t, 1, 8192, 0o640).Lock())
	send(t, p.queue(t, 1, 0o604), 1, "text")
	p.set(t, math32(0x80000000), 0o600, 1, 2)
	p.segment(t, 2, 4096, 0o600)
	for _, args := range product(
		options("", "-m", "-q", "-s"),
		options("", "-t", "-p", "-c", "-l", "-u"),
	) {
		same(t, c(), "ipcs", args...)
	}
	for kind, ids := range p.ids() {
		same(t, c(), "lsipc", "-"+kind, "-ct")
		for _, id := range ids {
			same(t, c(), "ipcs", "-"+kind, "-i", id)
			same(t, c(), "lsipc", "-"+kind, "-i", id)
		}
	}
}

// TestMany has so many objects that printing and reading overlap.
func TestMany(t *testing.T) {
	peer(t, "ipcs")
	isolate(t)
	must(t, os.WriteFile("/proc/sys/kernel/shmmni", []byte("32768"), 0))
	p := &population{}
	for i := range 7000 {
		p.segment(t, sysv.Key(i), 4096, 0o600)
	}
	for _, args := range options("-m", "-m -t", "-m -p -b") {
		same(t, c(), "ipcs", args...)
	}
	for _, args := range options("-m", "-m -J", "-m -o KEY,ATTACH") {
		same(t, c(), "lsipc", args...)
	}
}

func TestMisuse(t *testing.T) {
	isolate(t)
	p := &population{}
	p.segment(t, 1, 4096, 0o600)
	for name, lines := range map[string][]string{
		"ipcs": {
			"-Z", "--nonsense", "-mZ", "--p", "--s", "--shmems=5", "-i", "-mi", "-i 0", "-i 0 -mq", "-a -i 0",
			"-m -i abc", "-m -i 5x", "-m -i=5", "-m --id=", "-m -i 99999999999", "-m -i 2147483648", "-m -i 99999999999999999999x",
			"-Z -h", "-mi0 -i x", "-m -i 0x0", "-m -i -99999999999",
		},
		"ipcrm": {
			"", "-Z", "--nonsense", "-m", "--shmem-id", "--s 5", "shm", "sem", "msg", "foo", "-ashmem", "--all=x", "--all=", "-- 5", "-v",
			"-m 77", "-q 77", "-s 77", "-M 0x77", "-Q 0x77", "-S 077", "-M 0", "-m -1", "shm 77", "shm 77 78", "shm abc 77", "sem -5", "msg 5x",
			"-m 99999999999", "-M abc", "-m abc", "-M 09", "-m +77", "shm +77", "-M 99999999999999999999",
		},
		"ipcmk": {
			"", "-Z", "-M", "-M abc", "-M -5", "-M 5X", "-M 5KBB", "-M 99999999999999999999", "-M 16777216T", "-M 1Z", "-M 0", "-M 1.5", "-M 8E",
			"-S", "-S abc", "-S 99999999999", "-S 0", "-S -1", "-S 32001", "--sem 5x", "-p", "-p 644", "foo", "-M 0x",
		},
		"lsipc": {
			"-Z", "--nonsense", "-m -q", "-sm", "-J -e", "-re", "-m -nl", "-g -m -i 0", "-m -o KEY -t", "-m -t -o KEY", "-i 0", "-t", "-c",
			"-m -i abc", "-m -i 5x", "-m -i 99999999999", "-m --time-format=x", "-m -o foo", "-m -o KEY,foo,ID", "-m -o MSGS", "-o KEY,SIZE",
			"-m -o KEY,MSGS,ID", "-m -o ,", "-m -o KEY,", "-m --json=5", "--no", "-m -o", "-m -i", "--time x", "-m --out KEY --time",
		},
	} {
		peer(t, name)
		for _, args := range options(lines...) {
			same(t, c(), name, args...)
		}
		// POSIX requires options before operands.
		same(t, environment{"POSIXLY_CORRECT": ""}, name, "x", "-Z")
	}
	if _, err := p.segments[0].Stat(); err != nil {
		t.Errorf("misuse removed a segment: %v", err)
	}
}

func TestOrdinaryUserSeesAll(t *testing.T) {
	isolate(t)
	populate(t)
	for _, args := range product(options("-m", "-q", "-s"), options("", "-t", "-p", "-c")) {
		want := ours(c(), "ipcs", args...)
		cmd := asUser(t, "ipcs", args...)
		got, err := cmd.Output()
		if err != nil || string(got) != want.stdout {
			t.Errorf("ipcs %v as nobody: %v\n%s\nas root:\n%s", args, err, got, want.stdout)
		}
	}
}
