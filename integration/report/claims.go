package main

import "strings"

// A claim is a row of docs/benchmarks.md: a benchmark, what it compares, and what it
// should show.
type claim struct {
	work     string
	compared string // what the ratio is of
	name     string // of the benchmark: package and name
	mark     mark
	why      string // what a miss is caused by
	needs    string // what may be missing where it was not measured
	modes    bool   // show the ratios of all pairs
	readme   bool   // the README tells it too
}

// A mark is what the median should reach, or the metric that is named. The zero mark
// asks for nothing.
type mark struct {
	least, most float64
	of          string
}

// A section is a table with some words above it.
type section struct {
	title, text string
	metrics     [3]string // of the columns
	headings    [3]string
	claims      []claim
}

func ratios() (metrics, headings [3]string) {
	return [3]string{"ratio", "ratio-min", "ratio-max"}, [3]string{"median", "min", "max"}
}

// sections are all that docs/benchmarks.md shows. This is the one place where the
// marks are.
func sections() []section {
	metrics, headings := ratios()
	return []section{
		{
			title: "Semaphores and locks",
			text: "Package `semops` beside C with blocking `semop`, two processes each. *One core*: both are pinned to one processor. *Across cores*:\n" +
				"C's processes are pinned to one processor each; ours may use both, since one that may use a single processor does not spin.",
			metrics: metrics, headings: headings,
			claims: []claim{
				{
					work: "P and V, nobody in the way", compared: "Go / C", name: "semops Peer/pv", readme: true, mark: mark{most: 1.05},
					why: callWhy,
				},
				{
					work: "the same by `sysv.Set.Do`, processor time", compared: "Go / C", name: "integration Peers/semop", mark: mark{most: 1.05},
					why: callWhy,
				},
				{work: "ping-pong across cores", compared: "C / Go", name: "semops Peer/pingpong/cross", readme: true, mark: mark{least: 15}, why: spinWhy},
				{
					work: "ping-pong on one core", compared: "Go / C", name: "semops Peer/pingpong/same", readme: true, mark: mark{most: 1.1},
					why: "Every P sleeps here. A goroutine that sleeps in the kernel gives its place in Go's scheduler back and takes it again, twice in a round trip; C has nothing to tell anybody.",
				},
				{
					work: "bounded buffer of ten slots, 256 B, across cores", compared: "C, three semaphores / Go", name: "semops Peer/buffer/cross", readme: true, mark: mark{least: 15},
					why: spinWhy,
				},
			},
		},
		{
			title:   "System calls",
			text:    "Calls that need not wait, in processor time of the process, 101 pairs. `posix.Semaphore` asks the kernel nothing here, as sem_wait of the GNU C library.",
			metrics: metrics, headings: headings,
			claims: []claim{
				{work: "attach and detach 4 KiB", compared: "Go / C", name: "integration Peers/attach"},
				{work: "IPC_STAT of a segment", compared: "Go / C", name: "integration Peers/stat"},
				{work: "send and receive a message of 64 B", compared: "Go / C", name: "integration Peers/message"},
				{
					work: "P and V of a POSIX semaphore", compared: "Go / C", name: "posix SemaphoreAgainstC", mark: mark{most: 1.2},
					why: "Both take some tens of nanoseconds, and whatever else the machine does shows in them.",
				},
			},
		},
		{
			title:   "Messages of 256 bytes",
			text:    "Through a ring of 4 MiB, copied in and copied out, between two or five processes. The SPSC ring in C has the same layout and speaks to ours.",
			metrics: metrics, headings: headings,
			claims: []claim{
				{
					work: "256 B messages, one producer", compared: "ours / msgsnd and msgrcv in C", name: "shmring MessagesAgainstMsgsnd", readme: true, mark: mark{least: 15},
					why: modeWhy,
				},
				{work: "256 B messages, one producer", compared: "ours / C's SPSC ring", name: "shmring MessagesAgainstC", readme: true, mark: mark{least: 0.9}, modes: true, why: "How many messages move with each cache line depends on how far the two sides are apart, which settles differently from run to run, in C too."},
				{work: "256 B messages, one producer, 32 at a time", compared: "ours / C's SPSC ring, one at a time", name: "shmring BatchesAgainstC"},
				{work: "256 B messages, four producers", compared: "ours / msgsnd and msgrcv in C with four", name: "shmring FourProducersAgainstMsgsnd", readme: true, mark: mark{least: 20}, why: "Five processes share the processors; messages behind that of a producer which was stopped between claim and commit wait for it."},
			},
		},
		{
			title: "Streams of 4 GiB in memory",
			text: "Written once and read once, through a ring of 4 MiB. *Apart*: the two processes of C are pinned to a processor each; otherwise the kernel often puts\n" +
				"both on one, where they take turns over a warm cache. One memcpy is the limit: both sides copy at the same time. On a virtual machine there are two\n" +
				"modes: for seconds or minutes what passes from core to core, a round trip too, is two to three times slower, as if the processors then shared no\n" +
				"cache, which it can not see. memcpy, which stays on one, is not. The ratios of all pairs tell the modes apart.",
			metrics: metrics, headings: headings,
			claims: []claim{
				{work: "4 GiB stream", compared: "ours / pipe, 64 KiB", name: "shmring StreamAgainstPipe", mark: mark{least: 8}, modes: true, why: turnsWhy},
				{work: "4 GiB stream", compared: "ours / pipe, 64 KiB, apart", name: "shmring StreamAgainstPipeApart", readme: true, mark: mark{least: 8}, why: modeWhy},
				{work: "4 GiB stream", compared: "ours / the textbook pair, 64 KiB", name: "shmring StreamAgainstPair", mark: mark{least: 8}, modes: true, why: turnsWhy},
				{work: "4 GiB stream", compared: "ours / the textbook pair, 64 KiB, apart", name: "shmring StreamAgainstPairApart", readme: true, mark: mark{least: 8}, why: modeWhy},
				{work: "4 GiB stream, copied in and out", compared: "ours / memcpy", name: "shmring StreamAgainstMemcpy", readme: true, mark: mark{least: 0.5}, modes: true, why: modeWhy},
				{work: "4 GiB stream, copied in and read in place", compared: "ours / memcpy", name: "shmring StreamInPlaceAgainstMemcpy", mark: mark{least: 0.5}, modes: true, why: modeWhy},
			},
		},
		{
			title:   "Files through gshm",
			text:    "2 GiB of a file in the page cache, to /dev/null: `gshm send` and `gshm recv` beside `cat FILE | cat`.",
			metrics: metrics, headings: headings,
			claims: []claim{{work: "2 GiB of a file", compared: "gshm / cat", name: "integration SendRecvBesideCat", readme: true, mark: mark{least: 1.5}, why: modeWhy}},
		},
		{
			title:   "A hundred idle waiters",
			text:    "Processor time of a process in which a hundred goroutines wait, in percent of one processor, five times half a second. Some hundredths are the measuring.",
			metrics: [3]string{"percent", "percent-min", "percent-max"}, headings: [3]string{"median %", "min %", "max %"},
			claims: idle(),
		},
		{
			title:   "Cancelling a wait",
			text:    "From the cancelling of the context until a sleeping waiter has returned, 300 times each.",
			metrics: [3]string{"us-p50", "us-p99", "us-max"}, headings: [3]string{"median µs", "p99 µs", "max µs"},
			claims: cancelling(),
		},
		{
			title:   "A killed holder",
			text:    "From `kill -9` of the process that holds a `semops.Mutex` until the next one has it and was told that it was abandoned, 100 times; the end of a process is most of it.",
			metrics: [3]string{"us-p50", "us-p99", "us-max"}, headings: [3]string{"median µs", "p99 µs", "max µs"},
			claims: []claim{{work: "Mutex", name: "semops OwnerDied", mark: mark{most: 10000, of: "us-max"}, why: "The kernel takes the process down first, for which it needs a processor."}},
		},
		{
			title:   "The first touch of 1 GiB",
			text:    "Milliseconds, medians of three: to make shared memory *ready*, with its pages present where that is asked for; to write it for the *first* time; to write it *again*. See [performance.md](performance.md).",
			metrics: [3]string{"ms-ready", "ms-first", "ms-again"}, headings: [3]string{"ready ms", "first ms", "again ms"},
			claims: touches(),
		},
		{
			title:   "A stream through huge pages",
			text:    "2 GiB through a ring between two goroutines, all pages present: huge pages beside ordinary ones.",
			metrics: metrics, headings: headings,
			claims: []claim{
				{work: "ring of 4 MiB", compared: "huge / ordinary", name: "integration HugeStream/4MiB", needs: hugePages},
				{work: "ring of 256 MiB", compared: "huge / ordinary", name: "integration HugeStream/256MiB", needs: hugePages},
			},
		},
		{
			title:   "gipcs beside util-linux",
			text:    "Whole programs, wall time, ours as it is installed; *memory* is by how many MB ours needed more at most.",
			metrics: metrics, headings: headings,
			claims: listings(),
		},
		{
			title:   "Who is attached",
			text:    "1,000 segments and 500 processes: `gipcs`'s way of finding who is attached to what, as a process of its own, beside `lsof -n -P -l -w -d DEL`.",
			metrics: [3]string{"x-wall-median", "x-wall-min", "x-wall-max"}, headings: headings,
			claims: []claim{{work: "attachments of 500 processes", compared: "lsof / ours", name: "cmd/internal/inventory AttachedBesideLsof", readme: true, mark: mark{least: 5}, why: "Wall time of programs that read thousands of files of /proc, against others who want the processors."}},
		},
	}
}

const hugePages = "It needs huge pages in their pool: sysctl vm.nr_hugepages=700."

// Causes that several claims share.
const (
	callWhy  = "A bare system call from Go takes as long as P does: the difference is one of the processes, not of the package."
	spinWhy  = "Ours spins, and needs both processors at the same time: it stands still while one of its two processes is not running. C's, which sleep most of the time, lose less to whatever else runs."
	modeWhy  = "In the slow mode (see the streams), or while something else runs, ours falls back further than theirs."
	turnsWhy = "The kernel had both of C's processes on one processor, where the data stay in its cache, and ours was in the slow mode between two."
)

func idle() (all []claim) {
	for _, kind := range kinds() {
		c := claim{work: kind, name: "integration Idle/" + kind, mark: mark{most: 0.1}}
		switch kind {
		case "shmring.Producer":
			c.why = "A producer that sleeps looks every 0.15 s whether the consumer is alive; a hundred of them in one process do so 670 times a second."
		case "posix.Semaphore":
			c.why = "A waiter looks again every second, since a poster in C may have been killed between adding and waking."
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
			why: "A cancelled wait needs a processor twice, for who cancels and for who waits: on a busy machine they wait for one.",
		})
	}
	return all
}

// kinds are the kinds of waiting of integration's benchmarks.
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
			name: "cmd/internal/utillinux " + objects + " " + command, readme: objects == "32000" && strings.HasPrefix(ours, "ipcs -m"), mark: mark{most: most}, why: why,
		})
	}
	const (
		start  = "What this measures is the start of a process; Go's takes longer than C's, and more so on a busy machine."
		kernel = "Nearly all of this is the kernel's time, for ours and theirs alike, and whatever else runs falls on one or the other."
		fewer  = "For segments lsipc reads files of /proc, for queues and sets none, and is quick; of the time of gipcs a third are the 32,000 system calls themselves."
		check  = "Ours takes some 15 ms more to start and to read 32,000 references: little beside the removing of segments, much beside that of queues and sets, all of which C removes in 30 ms. `ipcrm --all`, which reads none, is faster than the loop."
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
