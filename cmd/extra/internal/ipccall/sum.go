//go:build linux

package ipccall

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Sum adds up calls by object and semaphore. It is not safe for concurrent use.
type Sum struct {
	// LastOn, unless it is nil, returns the process that last operated on a semaphore, as
	// the kernel knows it (GETPID of semctl(2)). It is asked once for a semaphore that
	// nobody was seen to take. pid is that of the process that asks.
	LastOn func(pid int, set Object, semaphore uint16) (Actor, bool)

	rows    map[place]*entry
	stacks  map[stack]time.Duration
	sets    map[semaphore]*holding
	waiting map[int][]*waiter // by thread
	chains  map[int]*chain    // by thread
}

// An Actor is a process.
type Actor struct {
	PID     int
	Program string
}

type place struct {
	object     Object
	semaphores string
}

type stack struct {
	program string
	place
	call string
}

type semaphore struct {
	set Object
	num uint16
}

// An entry is a Row that is being added up.
type entry struct {
	key           Key
	calls, errors int
	waits         histogram
	holders       map[Actor]time.Duration
}

// A holding is what is known of a semaphore: who took it last and did not give it back, and
// who waits.
type holding struct {
	holder  Actor // zero if nobody is known to hold it
	since   time.Time
	asked   bool
	waiters []*waiter
}

// A waiter is a call that may be waiting for a semaphore.
type waiter struct {
	on    *holding
	call  *Call
	entry *entry
}

// A chain is a wait that a signal interrupted, which the thread may continue.
type chain struct {
	stack stack
	spent time.Duration
}

// NewSum returns an empty Sum.
func NewSum() *Sum {
	return &Sum{
		rows: make(map[place]*entry), stacks: make(map[stack]time.Duration), sets: make(map[semaphore]*holding),
		waiting: make(map[int][]*waiter), chains: make(map[int]*chain),
	}
}

// Begin notes that a call has begun.
func (s *Sum) Begin(c *Call) {
	if last := s.chains[c.TID]; last != nil && last.stack.place != placeOf(c) {
		s.endChain(c.TID)
	}
	if !c.Waits {
		return
	}
	for _, op := range c.Ops {
		if op.Op > 0 {
			continue
		}
		h := s.holding(c.Object, op.Num)
		if h.holder == (Actor{}) && !h.asked && s.LastOn != nil {
			h.asked = true
			h.holder, _ = s.LastOn(c.PID, c.Object, op.Num)
			h.since = c.Start
		}
		w := &waiter{h, c, s.entry(placeOf(c))}
		h.waiters = append(h.waiters, w)
		s.waiting[c.TID] = append(s.waiting[c.TID], w)
	}
}

func placeOf(c *Call) place { return place{c.Object, c.Semaphores()} }

// most bounds the memory of a long trace: of a program that makes ever new objects, so many
// are kept apart. Calls on further ones are added up as on otherObjects.
const most = 1 << 16

func otherObjects() place { return place{object: Object{"other", "objects"}} }

func (s *Sum) entry(p place) *entry {
	e := s.rows[p]
	if e == nil && len(s.rows) >= most {
		p = otherObjects()
		e = s.rows[p]
	}
	if e == nil {
		e = &entry{holders: make(map[Actor]time.Duration)}
		s.rows[p] = e
	}
	return e
}

func (s *Sum) holding(set Object, num uint16) *holding {
	h := s.sets[semaphore{set, num}]
	if h == nil {
		h = &holding{}
		if len(s.sets) < most {
			s.sets[semaphore{set, num}] = h
		}
	}
	return h
}

// End adds a call that has returned, or whose thread has died.
func (s *Sum) End(c *Call) {
	s.stopWaiting(c)
	e := s.entry(placeOf(c))
	e.calls++
	if c.Key.Known {
		e.key = c.Key
	}
	if c.Errno != 0 && restarts(c.Errno) == "" {
		e.errors++
	}
	if c.Waits {
		s.addWait(c)
	}
	if c.Done && c.Errno == 0 {
		s.moved(c)
		s.rename(c)
	}
}

// rename adds the calls on an object's former name, which sem_open(3) makes up, to those on
// its last one. Nobody waits before it has that.
func (s *Sum) rename(c *Call) {
	former := place{c.Former, ""}
	e := s.rows[former]
	if e == nil || c.Former == (Object{}) || e.waits.n > 0 {
		return
	}
	delete(s.rows, former)
	last := s.entry(placeOf(c))
	last.calls += e.calls
	last.errors += e.errors
}

// addWait adds what a call waited, together with the calls before it that a signal
// interrupted.
func (s *Sum) addWait(c *Call) {
	last := s.chains[c.TID]
	if last == nil {
		last = &chain{stack: stack{c.Program, placeOf(c), c.Name}}
		s.chains[c.TID] = last
	}
	last.spent += c.Duration
	if !c.Interrupted() {
		s.endChain(c.TID)
	}
}

func (s *Sum) endChain(tid int) {
	if last := s.chains[tid]; last != nil {
		delete(s.chains, tid)
		s.entry(last.stack.place).waits.add(last.spent)
		k := last.stack
		if _, known := s.stacks[k]; !known && len(s.stacks) >= most {
			k.place = otherObjects()
		}
		s.stacks[k] += last.spent
	}
}

// stopWaiting charges the holders of the semaphores that the call waited for.
func (s *Sum) stopWaiting(c *Call) {
	end := c.Start.Add(c.Duration)
	for _, w := range s.waiting[c.TID] {
		w.charge(end)
		w.on.waiters = slices.DeleteFunc(w.on.waiters, func(o *waiter) bool { return o == w })
	}
	delete(s.waiting, c.TID)
}

// charge adds the time that the call has waited for the present holder.
func (w *waiter) charge(end time.Time) {
	h := w.on
	if h.holder == (Actor{}) || h.holder.PID == w.call.PID {
		return
	}
	from := w.call.Start
	if h.since.After(from) {
		from = h.since
	}
	if d := end.Sub(from); d > 0 {
		w.entry.holders[h.holder] += d
	}
}

// moved notes who holds the semaphores after a call that succeeded.
func (s *Sum) moved(c *Call) {
	end := c.Start.Add(c.Duration)
	for _, op := range c.Ops {
		h := s.holding(c.Object, op.Num)
		switch {
		case op.Op < 0:
			h.change(Actor{c.PID, c.Program}, end)
		case op.Op > 0 && h.holder.PID == c.PID:
			h.change(Actor{}, end)
		}
	}
}

// change charges the last holder and notes a new one.
func (h *holding) change(to Actor, now time.Time) {
	for _, w := range h.waiters {
		w.charge(now)
	}
	h.holder, h.since, h.asked = to, now, true
}

// Exited notes that a process has ended, and no longer holds a semaphore.
func (s *Sum) Exited(pid int, now time.Time) {
	for _, h := range s.sets {
		if h.holder.PID == pid {
			h.change(Actor{}, now)
		}
	}
}

// ThreadExited notes that a thread has ended.
func (s *Sum) ThreadExited(tid int) { s.endChain(tid) }

// A Row is the sum of the calls on an object, or on some semaphores of a set.
type Row struct {
	Object        Object
	Key           Key
	Semaphores    string // numbers joined by commas
	Calls, Errors int
	// Waits counts the calls that could sleep, whether or not they did. Interrupted by
	// signals and made again, they are one wait.
	Waits                 int
	Waited, P50, P99, Max time.Duration
	Holders               []Holder // the longest first
}

// A Holder is a process that held what others waited for.
type Holder struct {
	Actor
	Held time.Duration // how long others waited meanwhile, added up
}

// Rows returns all rows: what was waited for longest comes first.
func (s *Sum) Rows() []Row {
	for tid := range s.chains {
		s.endChain(tid)
	}
	rows := make([]Row, 0, len(s.rows))
	keys := make(map[Object]Key)
	for p, e := range s.rows {
		if e.key.Known {
			keys[p.object] = e.key
		}
	}
	for p, e := range s.rows {
		r := Row{
			Object: p.object, Key: keys[p.object], Semaphores: p.semaphores, Calls: e.calls, Errors: e.errors,
			Waits: int(e.waits.n), Waited: e.waits.total, P50: e.waits.quantile(0.5), P99: e.waits.quantile(0.99), Max: e.waits.most,
		}
		for a, d := range e.holders {
			r.Holders = append(r.Holders, Holder{a, d})
		}
		slices.SortFunc(r.Holders, func(a, b Holder) int { return cmp.Or(cmp.Compare(b.Held, a.Held), cmp.Compare(a.PID, b.PID)) })
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Waited, a.Waited), cmp.Compare(b.Calls, a.Calls),
			cmp.Compare(a.Object.Kind, b.Object.Kind), cmp.Compare(a.Object.Name, b.Object.Name), cmp.Compare(a.Semaphores, b.Semaphores))
	})
	return rows
}

// Folded returns lines for programs that draw flame graphs: program, object and call joined
// by semicolons, and the microseconds waited.
func (s *Sum) Folded() []string {
	for tid := range s.chains {
		s.endChain(tid)
	}
	var lines []string
	for k, d := range s.stacks {
		object := k.object.String()
		if object == "" {
			object = "?"
		}
		if k.semaphores != "" {
			object += "[" + k.semaphores + "]"
		}
		lines = append(lines, frame(k.program)+";"+frame(object)+";"+k.call+" "+strconv.FormatInt(d.Microseconds(), 10))
	}
	slices.Sort(lines)
	return lines
}

// frame makes a name safe in a line of Folded.
func frame(s string) string {
	return strings.NewReplacer(";", ":", " ", "_").Replace(escape(s))
}
