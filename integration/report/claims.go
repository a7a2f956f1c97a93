package main

import "strings"

// A claim is a row of docs/benchmarks.md: a benchmark, what it compares, and its
// target.
type claim struct {
	work     string
	compared string // what the ratio compares
	name     string // of the benchmark: package and name
	mark     mark
	why      string // the likely reason for a miss
	needs    string // what may be missing if it was not measured
	modes    bool   // show the ratios of all pairs
	readme   bool   // the README has this row too
}

// A mark is a target for the metric that of names, or for the median if of is empty. The
// zero mark sets no target.
type mark struct {
	least, most float64
	of          string
}

// A section is a table with an introduction.
type section struct {
	title, text string
	metrics     [3]string // of the columns
	headings    [3]string
	claims      []claim
}

func ratios() (metrics, headings [3]string) {
	return [3]string{"ratio", "ratio-min", "ratio-max"}, [3]string{"median", "min", "max"}
}

// sections returns everything in docs/benchmarks.md. All targets are here.
func sections() []section {
	metrics, headings := ratios()
	return []section{
		{
			title: "Semaphores and locks",
			text: "Package `semops` compared with C that blocks in `semop`, two processes each. *One core*: both are pinned to one processor. *Across cores*:\n" +
				"C's processes are pinned to one processor each; ours may use both, since a process with a single processor does not spin.",
			metrics: metrics, headings: headings,
			claims: []claim{
				{
					work: "P and V, uncontended", compared: "Go / C", name: "semops Peer/pv", mark: mark{most: 1.05},
					why: callWhy,
				},
				{
					work: "the same by `sysv.Set.Do`, processor time", compared: "Go / C", name: "integration Peers/semop", mark: mark{most: 1.05},
					why: callWhy,
				},
				{work: "ping-pong across cores", compared: "C / Go", name: "semops Peer/pingpong/cross", readme: true, mark: mark{least: 15}, why: spinWhy},
				{
					work: "ping-pong on one core", compared: "Go / C", name: "semops Peer/pingpong/same", mark: mark{most: 1.1},
					why: "Every P sleeps here. A goroutine that sleeps in the kernel releases its place in Go's scheduler and takes it again, twice per round trip; C has no scheduler to inform.",
				},
				{
					work: "bounded buffer of ten slots, 256 B, across cores", compared: "C, three semaphores / Go", name: "semops Peer/buffer/cross", mark: mark{least: 15},
					why: spinWhy,
				},
			},
		},
		{
			title:   "System calls",
			text:    "Calls that do not block, in processor time of the process, 101 pairs. `posix.Semaphore` makes no system call here; neither does sem_wait of the GNU C library.",
			metrics: metrics, headings: headings,
			claims: []claim{
				{work: "attach and detach 4 KiB", compared: "Go / C", name: "integration Peers/attach"},
				{work: "IPC_STAT of a segment", compared: "Go / C", name: "integration Peers/stat"},
				{work: "send and receive a message of 64 B", compared: "Go / C", name: "integration Peers/message"},
				{
					work: "P and V of a POSIX semaphore", compared: "Go / C", name: "posix SemaphoreAgainstC", mark: mark{most: 1.2},
					why: "Both take some tens of nanoseconds, so any other load on the machine shows.",
				},
			},
		},
		{
			title:   "Messages of 256 bytes",
			text:    "Through a ring of 4 MiB, copied in and copied out, between two or five processes. The SPSC ring in C has the same layout and interoperates with ours.",
			metrics: metrics, headings: headings,
			claims: []claim{
				{
					work: "256 B messages, one producer", compared: "ours / msgsnd and msgrcv in C", name: "shmring MessagesAgainstMsgsnd", readme: true, mark: mark{least: 15},
					why: modeWhy,
				},
				{work: "256 B messages, one producer", compared: "ours / C's SPSC ring", name: "shmring MessagesAgainstC", mark: mark{least: 0.9}, modes: true, why: "How many messages each cache line carries depends on the distance between the two sides, which differs from run to run, in C too."},
				{work: "256 B messages, one producer, 32 at a time", compared: "ours / C's SPSC ring, one at a time", name: "shmring BatchesAgainstC"},
				{work: "256 B messages, four producers", compared: "ours / msgsnd and msgrcv in C with four", name: "shmring FourProducersAgainstMsgsnd", mark: mark{least: 20}, why: "Five processes share the processors; when a producer is preempted between claim and commit, all later messages wait for it."},
			},
		},
		{
			title: "Streams of 4 GiB in memory",
			text: "Written once and read once, through a ring of 4 MiB. *Apart*: C's two processes are pinned to a processor each; otherwise the kernel often puts\n" +
				"both on one, where they alternate over a warm cache. One memcpy is the limit: both sides copy at the same time. A virtual machine has two\n" +
				"modes: for seconds or minutes, everything that passes from core to core, round trips too, is two to three times slower, as if the processors shared no\n" +
				"cache; it cannot see why. memcpy, which stays on one core, is not slower. The ratios of all pairs tell the modes apart.",
			metrics: metrics, headings: headings,
			claims: []claim{
				{work: "4 GiB stream", compared: "ours / pipe, 64 KiB", name: "shmring StreamAgainstPipe", mark: mark{least: 8}, modes: true, why: turnsWhy},
				{work: "4 GiB stream", compared: "ours / pipe, 64 KiB, apart", name: "shmring StreamAgainstPipeApart", readme: true, mark: mark{least: 8}, why: modeWhy},
				{work: "4 GiB stream", compared: "ours / the textbook pair, 64 KiB", name: "shmring StreamAgainstPair", mark: mark{least: 8}, modes: true, why: turnsWhy},
				{work: "4 GiB stream", compared: "ours / the textbook pair, 64 KiB, apart", name: "shmring StreamAgainstPairApart", mark: mark{least: 8}, why: modeWhy},
				{work: "4 GiB stream, copied in and out", compared: "ours / memcpy", name: "shmring StreamAgainstMemcpy", mark: mark{least: 0.5}, modes: true, why: modeWhy},
				{work: "4 GiB stream, copied in and read in place", compared: "ours / memcpy", name: "shmring StreamInPlaceAgainstMemcpy", mark: mark{least: 0.5}, modes: true, why: modeWhy},
			},
		},
		{
			title:   "Files through gshm",
			text:    "2 GiB of a file in the page cache, to /dev/null: `gshm send` and `gshm recv` compared with `cat FILE | cat`.",
			metrics: metrics, headings: headings,
			claims: []claim{{work: "2 GiB of a file", compared: "gshm / cat", name: "integration SendRecvBesideCat", mark: mark{least: 1.5}, why: modeWhy}},
		},
		{
			title:   "A hundred idle waiters",
			text:    "Processor time of a process in which a hundred goroutines wait, in percent of one processor, five times half a second. The measurement itself takes some hundredths.",
			metrics: [3]string{"percent", "percent-min", "percent-max"}, headings: [3]string{"median %", "min %", "max %"},
			claims: idle(),
		},
		{
			title:   "Cancelling a wait",
			text:    "From the cancellation of the context until a sleeping waiter has returned, 300 times each.",
			metrics: [3]string{"us-p50", "us-p99", "us-max"}, headings: [3]string{"median µs", "p99 µs", "max µs"},
			claims: cancelling(),
		},
		{
			title:   "A killed holder",
			text:    "From `kill -9` of the process that holds a `semops.Mutex` until the next one has it and is told that it was abandoned, 100 times; most of it is the exit of the process.",
			metrics: [3]string{"us-p50", "us-p99", "us-max"}, headings: [3]string{"median µs", "p99 µs", "max µs"},
			claims: []claim{{work: "Mutex", name: "semops OwnerDied", mark: mark{most: 10000, of: "us-max"}, why: "The kernel tears the process down first, for which it needs a processor."}},
		},
		{
			title:   "The first touch of 1 GiB",
			text:    "Milliseconds, medians of three: to make shared memory *ready*, with its pages present if requested; to write it for the *first* time; to write it *again*. See [performance.md](performance.md).",
			metrics: [3]string{"ms-ready", "ms-first", "ms-again"}, headings: [3]string{"ready ms", "first ms", "again ms"},
			claims: touches(),
		},
		{
			title:   "A stream through huge pages",
			text:    "2 GiB through a ring between two goroutines, all pages present: huge pages compared with ordinary ones.",
			metrics: metrics, headings: headings,
			claims: []claim{
				{work: "ring of 4 MiB", compared: "huge / ordinary", name: "integration HugeStream/4MiB", needs: hugePages},
				{work: "ring of 256 MiB", compared: "huge / ordinary", name: "integration HugeStream/256MiB", needs: hugePages},
			},
		},
		{
			title:   "gipcs beside util-linux",
			text:    "Whole programs, wall time, ours as installed; *memory* is how many MB more ours needed at its peak.",
			metrics: metrics, headings: headings,
			claims: listings(),
		},
		{
			title:   "Who is attached",
			text:    "1,000 segments and 500 processes: `gipcs`'s way of finding who is attached to what, as a separate process, compared with `lsof -n -P -l -w -d DEL`.",
			metrics: [3]string{"x-wall-median", "x-wall-min", "x-wall-max"}, headings: headings,
			claims: []claim{{work: "attachments of 500 processes", compared: "lsof / ours", name: "cmd/internal/inventory AttachedBesideLsof", readme: true, mark: mark{least: 5}, why: "This is the wall time of programs that read thousands of files in /proc while other processes compete for the processors."}},
		},
	}
}

const hugePages = "It needs huge pages: sysctl vm.nr_hugepages=700."

// Causes that several claims share.
const (
	callWhy  = "A bare system call from Go takes as long as P: the difference is between the processes, not in the package."
	spinWhy  = "Ours spins and needs both processors at once: it stalls while one of its two processes is not running. C's processes sleep most of the time and lose less to other load."
	modeWhy  = "In the slow mode (see the streams) or under other load, ours slows down more than theirs."
	turnsWhy = "The kernel ran both of C's processes on one processor, where the data stay in its cache, and ours in the slow mode between two."
)

func idle() (all []claim) {
	for _, kind := range kinds() {
		c := claim{work: kind, name: "integration Idle/" + kind, mark: mark{most: 0.1}}
		switch kind {
		case "shmring.Producer":
			c.why = "A sleeping producer checks every 0.15 s that the consumer is alive; a hundred of them in one process do so 670 times a second."
		case "posix.Semaphore":
			c.why = "A waiter checks every second, since a poster in C may have been killed between adding and waking."
		}
		all = append(all, c)
	}
	return all
}

func touches() (all []claim) {
	for _, t := range []struct{ name, work string }{
		{"segment", "segment"},
		{"segment,populate", "segment, populated"},
		{"segment,huge", "segment of huge pages"},
		{"segment,huge,populate", "segment of huge pages, populated"},
		{"memfd", "memory file"},
		{"memfd,reserve", "memory file, reserved"},
		{"memfd,prefault", "memory file, prefaulted"},
		{"memfd,huge", "memory file of huge pages"},
	} {
		c := claim{work: t.work, name: "integration FirstTouch/" + t.name}
		if strings.Contains(t.name, "huge") {
			c.needs = hugePages
		}
		all = append(all, c)
	}
	return all
}

func cancelling() (all []claim) {
	for _, kind := range kinds() {
		all = append(all, claim{
			work: kind, name: "integration Cancel/" + kind, mark: mark{most: 2000, of: "us-p99"},
			why: "A cancelled wait needs a processor twice, for the canceller and for the waiter; on a busy machine both wait for one.",
		})
	}
	return all
}

// kinds returns the kinds of waiting that the benchmarks of integration measure.
func kinds() []string {
	return []string{
		"Semaphore", "Mutex", "RWMutex", "Event", "Barrier", "Cond", "Buffer",
		"sysv.Queue", "posix.Semaphore", "shmring.Consumer", "shmring.Producer",
	}
}

func listings() (all []claim) {
	add := func(objects, command string, most float64, why string) {
		ours, theirs, two := strings.Cut(command, " / ")
		if !two {
			theirs = ours
		}
		all = append(all, claim{
			work: objects + " objects: " + ours, compared: "ours / " + theirs,
			name: "cmd/internal/utillinux " + objects + " " + command, mark: mark{most: most}, why: why,
		})
	}
	const (
		start  = "This measures the start of a process, which takes longer in Go than in C, even more so on a busy machine."
		kernel = "Nearly all of this is kernel time, for both sides, and other load hits one or the other."
		fewer  = "lsipc reads files of /proc for segments, but not for queues and sets, which makes it fast there; a third of the time of gipcs is the 32,000 system calls."
		check  = "Ours takes some 15 ms more to start and to parse 32,000 references: little compared with removing segments, much compared with removing queues and sets, all of which C removes in 30 ms. `ipcrm --all`, which parses none, is faster than the loop."
	)
	for _, c := range []string{"ipcs -m", "ipcs -q", "ipcs -s", "lsipc -m"} {
		add("10", c, 2.5, start)
	}
	for _, c := range []string{"ipcs -m", "ipcs -q", "ipcs -s"} {
		add("32000", c, 0.12, kernel)
	}
	for _, k := range []string{"-m", "-q", "-s"} {
		add("32000", "gipcs ls "+k+" --format plain / lsipc "+k, 0.2, fewer)
	}
	for _, k := range []string{"shm", "msg", "sem"} {
		add("32000", "ipcrm --all="+k+" / C", 1.05, kernel)
		add("32000", "gipcs rm "+k+":ID... / C", 1.05, check)
	}
	return all
}
