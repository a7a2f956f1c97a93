// Package model_test makes random calls from several processes on sets, queues and
// segments. It compares the results with a model of what the manual says, and with the
// same calls made by C programs.
//
//	go test ./integration/model -rapid.checks 10000       # make more calls
//	go test ./integration/model -rapid.seed N             # repeat the calls of a failure
//	go test ./integration/model -rapid.failfile FILE      # repeat only its shortest form
package model_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// asWorker is set in the environment of a process of the Go side.
const asWorker = "GIPC_MODEL_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		if err := work(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// These defaults keep every run short; flags on the command line override them.
	for name, value := range map[string]string{"rapid.checks": "15", "rapid.steps": "100"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	ipctest.Main(m)
}

// TestModel makes steps on objects of one kind at a time, which reaches deeper states, and
// then on all kinds together.
func TestModel(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it cannot start the test program again")
	c := ipctest.Compile(t, "testdata/worker.c")
	m := &machine{
		sides: []*side{
			newSide(t, "Go", func() *exec.Cmd {
				cmd := exec.Command("/proc/self/exe")
				// A preemption signal would move a call to the end of its queue of
				// waiters.
				cmd.Env = append(os.Environ(), asWorker+"=1", "GODEBUG=asyncpreemptoff=1", "GORACE=atexit_sleep_ms=0")
				return cmd
			}, func(p *process) error { return p.tell("interrupt") }),
			newSide(t, "C", func() *exec.Cmd { return exec.Command(c) },
				func(p *process) error { return unix.Kill(p.pid(), unix.SIGUSR1) }),
		},
	}
	all := map[string]func(*rapid.T){}
	for _, kind := range []struct {
		name    string
		actions map[string]func(*rapid.T)
	}{{"segments", m.onSegments()}, {"sets", m.onSets()}, {"queues", m.onQueues()}, {"together", all}} {
		maps.Copy(all, kind.actions)
		maps.Copy(kind.actions, m.onProcesses())
		ok := t.Run(kind.name, func(t *testing.T) {
			for range ipctest.Rounds(t, 1, 0) {
				rapid.Check(t, func(t *rapid.T) {
					m.reset(t)
					t.Repeat(kind.actions)
					m.whole = true
				})
			}
			t.Logf("%d steps, %d calls that slept, %d processes", m.steps, m.slept, m.started)
		})
		if !ok {
			return // rapid has found the shortest steps that fail
		}
	}
}

// A machine makes steps on both sides and in the model.
type machine struct {
	sides  []*side
	system *system
	number [workers]int    // of the processes, in the model
	last   int             // the highest number
	sleeps [workers]string // the step in which a process sleeps
	whole  bool            // all processes are as the model says

	steps, slept, started int
}

// reset removes all objects, and starts new processes if the last check failed.
func (m *machine) reset(t *rapid.T) {
	if !m.whole {
		for w := range workers {
			for _, s := range m.sides {
				s.process[w].kill()
			}
			m.start(t, w)
		}
		m.sleeps = [workers]string{}
	}
	m.whole = false
	for _, s := range m.sides {
		m.clear(t, s)
		s.id = [3]map[int]int{{}, {}, {}}
		s.number = map[int]int{}
		for w, p := range s.process {
			s.number[p.pid()] = w + 1
		}
	}
	for w := range workers {
		m.number[w] = w + 1
	}
	m.last = workers
	m.system = &system{ended: map[int]result{}}
	m.sleeps = [workers]string{}
}

// clear removes everything in a side's namespace. The idle processes do it, which wakes
// the others.
func (m *machine) clear(t *rapid.T, s *side) {
	idle := m.idle()
	for _, w := range idle {
		m.tell(t, s, w, fmt.Sprint(clear))
		m.expect(t, s, w, "clear", result{0})
	}
	for w := range workers {
		if slices.Contains(idle, w) {
			continue
		}
		m.expect(t, s, w, m.sleeps[w], fail(unix.EIDRM))
		m.tell(t, s, w, fmt.Sprint(clear))
		m.expect(t, s, w, "clear", result{0})
	}
}

// start makes a new process for a worker on both sides.
func (m *machine) start(t *rapid.T, w int) {
	m.last++
	m.started++
	m.number[w] = m.last
	for _, s := range m.sides {
		if err := s.start(w, m.number[w]); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *machine) tell(t *rapid.T, s *side, w int, line string) {
	if err := s.process[w].tell(line); err != nil {
		m.differ(t, s, "tell process", err)
	}
}

// A step is a call by a process. Its object, if it has one, is its first argument.
type step struct {
	worker int
	verb   int
	kind   sysv.Kind
	handle int // of the object, or -1
	args   []int
}

// line returns the text of the step for a process of the side.
func (s step) line(side *side) string {
	words := []int{s.verb}
	if s.handle >= 0 {
		words = append(words, side.id[s.kind][s.handle])
	}
	return strings.Trim(fmt.Sprint(append(words, s.args...)), "[]")
}

func (s step) String() string {
	name := [...]string{
		"shmget", "shmopen", "shmat", "shmdt", "poke", "peek", "shmset", "shmrm", "shmlook",
		"semget", "semopen", "semop", "setval", "setall", "semset", "semrm", "semlook",
		"msgget", "msgopen", "msgsnd", "msgrcv", "msgpeek", "msgset", "msgrm", "msglook",
		"list", "usage", "clear",
	}[s.verb]
	if s.handle >= 0 {
		name += fmt.Sprintf(" %v#%d", s.kind, s.handle)
	}
	return name + " " + fmt.Sprint(s.args)
}

// make makes a step on both sides, compares the results with the model's, and then the
// state of the object.
func (m *machine) make(t *rapid.T, s step, want result) {
	m.steps++
	text := fmt.Sprintf("process %d: %v", m.number[s.worker], s)
	t.Log(text, "gives", want.words())
	for proc, r := range m.system.ended {
		t.Log("and ends the sleep of", proc, "by", r.words())
	}
	for _, side := range m.sides {
		m.tell(t, side, s.worker, s.line(side))
		if want == nil {
			m.sleep(t, side, s.worker, text)
			continue
		}
		got := m.answer(t, side, s.worker, text)
		switch s.verb {
		case shmget, shmopen, semget, semopen, msgget, msgopen:
			got = side.handleOf(s.kind, got, want)
		case list:
			got = side.handlesOf(s.kind, got)
		}
		m.compare(t, side, text, got, want)
	}
	if want == nil {
		m.slept++
		m.sleeps[s.worker] = text
	}
	m.settle(t)
	if s.handle >= 0 {
		m.look(t, s.kind, s.handle)
	}
}

// settle waits for processes whose calls have ended, and until all others sleep.
func (m *machine) settle(t *rapid.T) {
	for w, text := range m.sleeps {
		if text == "" {
			continue
		}
		want, ended := m.system.ended[m.number[w]]
		for _, side := range m.sides {
			if ended {
				m.expect(t, side, w, text, want)
			} else {
				m.sleep(t, side, w, text)
			}
		}
		if ended {
			m.sleeps[w] = ""
		}
	}
	m.system.ended = map[int]result{}
}

// look compares everything visible about an object.
func (m *machine) look(t *rapid.T, kind sysv.Kind, handle int) {
	verb := [...]int{shmlook, semlook, msglook}[kind]
	want := [...]func(int) result{m.system.shmlook, m.system.semlook, m.system.msglook}[kind](handle)
	s := step{m.idle()[0], verb, kind, handle, nil}
	for _, side := range m.sides {
		m.tell(t, side, s.worker, s.line(side))
		got := m.answer(t, side, s.worker, s.String())
		if got[0] >= 0 {
			first, last := pids(kind, got)
			for i := first; i < last; i++ {
				got[i] = cmp.Or(side.number[got[i]], got[i])
			}
		}
		m.compare(t, side, s.String(), got, want)
	}
}

// pids returns the range of the numbers in a look that are process ids.
func pids(kind sysv.Kind, look result) (first, last int) {
	switch kind {
	case sysv.Shm:
		return 2, 4
	case sysv.Sem:
		return 3 + look[0], 3 + 2*look[0]
	default:
		return 3, 5
	}
}

func (m *machine) answer(t *rapid.T, s *side, w int, what string) result {
	got, err := s.process[w].answer()
	if err != nil {
		m.differ(t, s, what, err)
	}
	return got
}

func (m *machine) expect(t *rapid.T, s *side, w int, what string, want result) {
	m.compare(t, s, what, m.answer(t, s, w, what), want)
}

func (m *machine) compare(t *rapid.T, s *side, what string, got, want result) {
	if !slices.Equal(got, want) {
		m.differ(t, s, what, got.words(), "and not", want.words())
	}
}

// differ fails the check, always with the same words, so that rapid recognizes the same
// failure when it shortens the steps.
func (m *machine) differ(t *rapid.T, s *side, what string, how ...any) {
	t.Log(append([]any{s.name + ":", what, "gives"}, how...)...)
	t.Fatal("the model says something else")
}

// words formats a result, with the name of an error number.
func (r result) words() string {
	if r == nil {
		return "sleep"
	}
	if len(r) == 1 && r[0] < 0 {
		return unix.ErrnoName(unix.Errno(-r[0]))
	}
	return fmt.Sprint([]int(r))
}

// sleep waits until a process sleeps, and records its thread, which a message may name.
func (m *machine) sleep(t *rapid.T, s *side, w int, what string) {
	tid, err := s.process[w].sleep()
	if err != nil {
		m.differ(t, s, what, err)
	}
	s.number[tid] = m.number[w]
}

// handleOf returns the handle of the identifier in got. If want says that it is new, it
// gets a new handle.
func (s *side) handleOf(kind sysv.Kind, got, want result) result {
	if got[0] < 0 || want[0] < 0 {
		return got
	}
	if _, ok := s.id[kind][want[0]]; !ok {
		s.id[kind][want[0]] = got[0]
	}
	return s.handlesOf(kind, got)
}

// handlesOf returns the handles of identifiers, in order. An unknown identifier stays,
// negated.
func (s *side) handlesOf(kind sysv.Kind, ids result) result {
	handles := make(result, len(ids))
	for i, id := range ids {
		handles[i] = -id - 1
		for h, known := range s.id[kind] {
			if known == id {
				// An identifier may be reused after many others.
				handles[i] = max(handles[i], h)
			}
		}
	}
	slices.Sort(handles)
	return handles
}

// idle returns the workers that do not sleep. There is always one.
func (m *machine) idle() (all []int) {
	for w, text := range m.sleeps {
		if text == "" {
			all = append(all, w)
		}
	}
	return all
}
