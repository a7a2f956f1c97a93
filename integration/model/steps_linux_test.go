package model_test

import (
	"slices"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/sysvipc/gipc/sysv"
)

// exclusive tells the program in C to make a new object, as Create does.
const exclusive = 1

// worker chooses a worker that does not sleep.
func (m *machine) worker(t *rapid.T) int { return rapid.SampledFrom(m.idle()).Draw(t, "worker") }

// how chooses how to make a call that may have to wait: without waiting if this is the
// last idle process.
func (m *machine) how(t *rapid.T) int {
	if len(m.idle()) == 1 {
		return trying
	}
	return rapid.SampledFrom([]int{waiting, waiting, waiting, trying}).Draw(t, "how")
}

// rarely reports whether to make a step that destroys what other steps have built up.
func rarely(t *rapid.T) bool { return rapid.IntRange(0, 3).Draw(t, "really") == 3 }

// choose chooses one of all, or skips the step if there is none. Call it before the step
// draws anything else: rapid gives up after many skips that follow a draw.
func choose[T any](t *rapid.T, all []T, what string) T {
	if len(all) == 0 {
		t.SkipNow()
	}
	return rapid.SampledFrom(all).Draw(t, what)
}

// handle chooses an object, rarely one that no longer exists.
func handle[T object](t *rapid.T, all []T) int {
	handles := live(all)
	if stale := len(all) - len(handles); stale > 0 && (len(handles) == 0 || rapid.IntRange(0, 9).Draw(t, "stale") == 9) {
		return rapid.IntRange(0, len(all)-1).Draw(t, "any object")
	}
	return choose(t, handles, "object")
}

func key(t *rapid.T) int       { return rapid.IntRange(1, 3).Draw(t, "key") }
func keyOrNone(t *rapid.T) int { return rapid.IntRange(0, 3).Draw(t, "key") }
func mode(t *rapid.T) int      { return rapid.SampledFrom([]int{0o600, 0o640, 0o777, 0}).Draw(t, "mode") }

func yes(t *rapid.T, what string) bool {
	return rapid.Bool().Draw(t, what)
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// opened returns the result of looking up a key.
func opened(h int) result {
	if h < 0 {
		return fail(unix.ENOENT)
	}
	return result{h}
}

func (m *machine) onSegments() map[string]func(*rapid.T) {
	// places returns the slots of idle processes that hold a segment, or that are free.
	places := func(attached bool) (all []attachment) {
		for _, w := range m.idle() {
			for slot := range slots {
				if (m.system.attached(m.number[w], slot) != nil) == attached {
					all = append(all, attachment{w, slot})
				}
			}
		}
		return all
	}
	// memory chooses a byte of an attached segment.
	memory := func(t *rapid.T) (at attachment, s *segment, offset int) {
		at = choose(t, places(true), "attachment")
		s = m.system.attached(m.number[at.proc], at.slot)
		return at, s, rapid.SampledFrom([]int{0, len(s.bytes) / 2, len(s.bytes) - 1}).Draw(t, "offset")
	}
	return map[string]func(*rapid.T){
		"shmget": func(t *rapid.T) {
			w, key := m.worker(t), keyOrNone(t)
			size := rapid.SampledFrom([]int{0, 1, pageSize, pageSize + 1, shmmax, shmmax + 1}).Draw(t, "size")
			want := m.system.shmget(m.number[w], key, size)
			m.make(t, step{w, shmget, sysv.Shm, -1, []int{key, size, exclusive}}, want)
		},
		"shmopen": func(t *rapid.T) {
			key := key(t)
			m.make(t, step{m.worker(t), shmopen, sysv.Shm, -1, []int{key}}, opened(lookup(m.system.segments, key)))
		},
		"shmat": func(t *rapid.T) {
			at := choose(t, places(false), "slot")
			if len(m.system.segments) == 0 {
				return
			}
			h, readOnly := handle(t, m.system.segments), yes(t, "read-only")
			want := m.system.shmat(m.number[at.proc], h, at.slot, readOnly)
			m.make(t, step{at.proc, shmat, sysv.Shm, h, []int{at.slot, number(readOnly)}}, want)
		},
		"shmdt": func(t *rapid.T) {
			at := choose(t, places(true), "attachment")
			h := slices.Index(m.system.segments, m.system.attached(m.number[at.proc], at.slot))
			m.make(t, step{at.proc, shmdt, sysv.Shm, -1, []int{at.slot}}, m.system.shmdt(m.number[at.proc], at.slot))
			m.look(t, sysv.Shm, h)
		},
		"poke": func(t *rapid.T) {
			at, segment, offset := memory(t)
			if segment.attachments[attachment{m.number[at.proc], at.slot}] {
				return // read-only
			}
			value := rapid.Byte().Draw(t, "value")
			segment.bytes[offset] = value
			m.make(t, step{at.proc, poke, sysv.Shm, -1, []int{at.slot, offset, int(value)}}, result{0})
		},
		"peek": func(t *rapid.T) {
			at, segment, offset := memory(t)
			m.make(t, step{at.proc, peek, sysv.Shm, -1, []int{at.slot, offset}}, result{int(segment.bytes[offset])})
		},
		"shmset": func(t *rapid.T) {
			h, mode := handle(t, m.system.segments), mode(t)
			m.make(t, step{m.worker(t), shmset, sysv.Shm, h, []int{mode}}, chmod(m.system.segments[h], mode))
		},
		"shmrm": func(t *rapid.T) {
			h := handle(t, m.system.segments)
			m.make(t, step{m.worker(t), shmrm, sysv.Shm, h, nil}, m.system.shmrm(h))
		},
		"list segments": func(t *rapid.T) {
			m.make(t, step{m.worker(t), list, sysv.Shm, -1, []int{int(sysv.Shm)}}, live(m.system.segments))
		},
	}
}

func (m *machine) onSets() map[string]func(*rapid.T) {
	semopStep := func(t *rapid.T) {
		h, w := handle(t, m.system.sets), m.worker(t)
		n := rapid.SampledFrom([]int{1, 2, 1, 2, 1, 3, 3, 0, semopm + 1}).Draw(t, "operations")
		ops := rapid.SliceOfN(rapid.Custom(drawOp), n, n).Draw(t, "ops")
		how := m.how(t)
		args := []int{how}
		for _, o := range ops {
			args = append(args, o.num, o.add, number(o.undo)|number(o.noWait)<<1)
		}
		want := m.system.semop(m.number[w], h, ops, how != waiting)
		m.make(t, step{w, semop, sysv.Sem, h, args}, want)
	}
	return map[string]func(*rapid.T){
		"semget": func(t *rapid.T) {
			key, nsems := keyOrNone(t), rapid.IntRange(0, semmsl+1).Draw(t, "nsems")
			want := m.system.semget(key, nsems)
			m.make(t, step{m.worker(t), semget, sysv.Sem, -1, []int{key, nsems, exclusive}}, want)
		},
		"semopen": func(t *rapid.T) {
			key := key(t)
			m.make(t, step{m.worker(t), semopen, sysv.Sem, -1, []int{key}}, opened(lookup(m.system.sets, key)))
		},
		"semop":       semopStep,
		"semop more":  semopStep, // most of the complexity is here
		"semop often": semopStep,
		"semop again": semopStep,
		"setval": func(t *rapid.T) {
			h, w, num := handle(t, m.system.sets), m.worker(t), drawNum(t)
			value := rapid.SampledFrom([]int{0, 1, 2, 3, semvmx, semvmx + 1, -1}).Draw(t, "value")
			want := m.system.setval(m.number[w], h, num, value)
			m.make(t, step{w, setval, sysv.Sem, h, []int{num, value}}, want)
		},
		"setall": func(t *rapid.T) {
			h, w := handle(t, m.system.sets), m.worker(t)
			if !rarely(t) {
				return
			}
			n := len(m.system.sets[h].values) + rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "too many")
			values := rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 2, semvmx, semvmx + 1}), n, n).Draw(t, "values")
			want := m.system.setall(m.number[w], h, values)
			m.make(t, step{w, setall, sysv.Sem, h, values}, want)
		},
		"semset": func(t *rapid.T) {
			h, mode := handle(t, m.system.sets), mode(t)
			m.make(t, step{m.worker(t), semset, sysv.Sem, h, []int{mode}}, chmod(m.system.sets[h], mode))
		},
		"semrm": func(t *rapid.T) {
			h := handle(t, m.system.sets)
			if !rarely(t) {
				return
			}
			set := m.system.sets[h]
			m.make(t, step{m.worker(t), semrm, sysv.Sem, h, nil}, m.system.remove(set, &set.zero, &set.alter))
		},
		"list sets": func(t *rapid.T) {
			m.make(t, step{m.worker(t), list, sysv.Sem, -1, []int{int(sysv.Sem)}}, live(m.system.sets))
		},
	}
}

// drawNum chooses a semaphore, mostly one of the first two.
func drawNum(t *rapid.T) int {
	return rapid.SampledFrom([]int{0, 1, 0, 1, 0, 1, 0, 1, 2, 2, 3, semmsl}).Draw(t, "semaphore")
}

func drawOp(t *rapid.T) op {
	return op{
		num:    drawNum(t),
		add:    rapid.SampledFrom([]int{-1, 0, 1, -1, 0, 1, -1, 0, 2, -2, -3, semvmx, -semvmx}).Draw(t, "add"),
		undo:   yes(t, "undo"),
		noWait: rapid.IntRange(0, 9).Draw(t, "no wait") == 9,
	}
}

func (m *machine) onQueues() map[string]func(*rapid.T) {
	send := func(t *rapid.T) {
		h, w, how := handle(t, m.system.queues), m.worker(t), m.how(t)
		if len(m.system.queues[h].senders) > 0 {
			how = trying // of two sleeping senders, which one goes first is undefined
		}
		msg := message{
			kind:   rapid.IntRange(0, 4).Draw(t, "type"),
			length: rapid.IntRange(0, msgmax+1).Draw(t, "length"),
			tag:    rapid.IntRange(0, 9).Draw(t, "contents"),
		}
		if msg.length > m.system.queues[h].qbytes {
			how = trying // Send refuses what never fits
		}
		want := m.system.msgsnd(m.number[w], h, msg, how != waiting)
		m.make(t, step{w, msgsnd, sysv.Msg, h, []int{how, msg.kind, msg.length, msg.tag}}, want)
	}
	receiveStep := func(t *rapid.T) {
		h, w, how := handle(t, m.system.queues), m.worker(t), m.how(t)
		r := receive{
			size:     rapid.IntRange(0, msgmax).Draw(t, "size"),
			kind:     rapid.IntRange(-4, 4).Draw(t, "type"),
			except:   yes(t, "except"),
			truncate: yes(t, "truncate"),
		}
		want := m.system.msgrcv(m.number[w], h, r, how != waiting)
		m.make(t, step{w, msgrcv, sysv.Msg, h, []int{how, r.size, r.kind, number(r.except), number(r.truncate)}}, want)
	}
	return map[string]func(*rapid.T){
		"msgget": func(t *rapid.T) {
			key := keyOrNone(t)
			want := m.system.msgget(key)
			m.make(t, step{m.worker(t), msgget, sysv.Msg, -1, []int{key, exclusive}}, want)
		},
		"msgopen": func(t *rapid.T) {
			key := key(t)
			m.make(t, step{m.worker(t), msgopen, sysv.Msg, -1, []int{key}}, opened(lookup(m.system.queues, key)))
		},
		"msgsnd":      send,
		"msgsnd more": send,
		"msgrcv":      receiveStep,
		"msgrcv more": receiveStep,
		"msgpeek": func(t *rapid.T) {
			h, index := handle(t, m.system.queues), rapid.IntRange(0, 3).Draw(t, "index")
			size := rapid.IntRange(0, msgmax).Draw(t, "size")
			m.make(t, step{m.worker(t), msgpeek, sysv.Msg, h, []int{index, size}}, m.system.msgpeek(h, index, size))
		},
		"msgset": func(t *rapid.T) {
			h, mode, qbytes := handle(t, m.system.queues), mode(t), rapid.IntRange(0, msgmnb).Draw(t, "qbytes")
			if len(m.system.queues[h].receivers) > 1 {
				return // they wake, and the order in which they sleep again is undefined
			}
			m.make(t, step{m.worker(t), msgset, sysv.Msg, h, []int{mode, qbytes}}, m.system.msgset(h, mode, qbytes))
		},
		"msgrm": func(t *rapid.T) {
			h := handle(t, m.system.queues)
			if !rarely(t) {
				return
			}
			queue := m.system.queues[h]
			want := m.system.remove(queue, &queue.senders, &queue.receivers)
			m.make(t, step{m.worker(t), msgrm, sysv.Msg, h, nil}, want)
		},
		"list queues": func(t *rapid.T) {
			m.make(t, step{m.worker(t), list, sysv.Msg, -1, []int{int(sysv.Msg)}}, live(m.system.queues))
		},
	}
}

// onProcesses returns the steps on processes.
func (m *machine) onProcesses() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"usage": func(t *rapid.T) {
			m.make(t, step{m.worker(t), usage, sysv.Shm, -1, nil}, m.system.usage())
		},
		"interrupt": func(t *rapid.T) {
			w := m.sleeper(t)
			m.system.interrupt(m.number[w])
			t.Logf("interrupt process %d", m.number[w])
			for _, s := range m.sides {
				if err := s.interrupt(s.process[w]); err != nil {
					t.Fatal(err)
				}
			}
			m.settle(t)
			m.lookAtAll(t)
		},
		"end": func(t *rapid.T) {
			if !rarely(t) {
				return // it is expensive
			}
			w, how := rapid.IntRange(0, workers-1).Draw(t, "worker"), (*process).end
			if m.sleeps[w] != "" || yes(t, "kill") {
				how = func(p *process) error { p.kill(); return nil }
			}
			m.end(t, w, how)
		},
	}
}

// sleeper chooses a sleeping worker.
func (m *machine) sleeper(t *rapid.T) int {
	var all []int
	for w, text := range m.sleeps {
		if text != "" {
			all = append(all, w)
		}
	}
	return choose(t, all, "worker")
}

// end ends a process and starts another one in its place.
func (m *machine) end(t *rapid.T, w int, how func(*process) error) {
	t.Logf("process %d ends", m.number[w])
	m.system.exit(m.number[w])
	m.sleeps[w] = ""
	for _, s := range m.sides {
		if err := how(s.process[w]); err != nil {
			t.Fatal(err)
		}
	}
	m.start(t, w)
	m.settle(t)
	m.lookAtAll(t)
}

// lookAtAll compares all existing objects.
func (m *machine) lookAtAll(t *rapid.T) {
	for _, h := range live(m.system.segments) {
		m.look(t, sysv.Shm, h)
	}
	for _, h := range live(m.system.sets) {
		m.look(t, sysv.Sem, h)
	}
	for _, h := range live(m.system.queues) {
		m.look(t, sysv.Msg, h)
	}
}
