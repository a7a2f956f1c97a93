package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// A Verdict tells whether an object is needed by anybody; see the package's
// documentation.
type Verdict int

const (
	Unknown Verdict = iota
	InUse
	Idle
	Orphan
)

func (v Verdict) String() string { return [...]string{"unknown", "in use", "idle", "orphan"}[v] }

// An Answer is yes or no, or not known.
type Answer int

const (
	NotKnown Answer = iota
	No
	Yes
)

func (a Answer) String() string { return [...]string{"unknown", "no", "yes"}[a] }

// A Reason is a fact that a verdict rests on.
type Reason struct {
	Code Code
	Text string // for a person; may hold the names of processes as they are
}

// A Code names the kind of a Reason for programs.
type Code string

const (
	Attached      Code = "attached"        // somebody is attached
	Mapped        Code = "mapped"          // somebody has it mapped
	Open          Code = "open"            // somebody has it open
	NotOpen       Code = "not-open"        // nobody has it mapped or open
	NotAttached   Code = "not-attached"    // nobody is
	Waiting       Code = "waiting"         // somebody waits
	NotWaiting    Code = "not-waiting"     // nobody does
	Marked        Code = "marked"          // removed already, lives until its last detach
	ActorAlive    Code = "process-alive"   // a process that made or used it is alive
	ActorGone     Code = "process-gone"    // has ended
	ActorReused   Code = "process-reused"  // has ended, and its id was given away
	ActorUnseen   Code = "process-unseen"  // can't be told
	NeverUsed     Code = "never-used"      // nobody used it since it was made
	NotReadable   Code = "not-readable"    // the caller may not read the object
	ProcessHidden Code = "process-hidden"  // somebody might use it who may not be looked into
	ServerAlive   Code = "server-alive"    // a server runs whose processes may attach it again
	NoProc        Code = "proc-unreadable" // /proc is of no use
	UsedMeanwhile Code = "used-meanwhile"  // it was used or changed while processes were looked at
	Age           Code = "age"             // when it was changed and used
)

// evidence is what judge has to know beyond the object.
type evidence struct {
	now     time.Time
	proc    error // why /proc could not be used
	waiters bool  // the threads of processes were looked at
	hidden  Hidden
	idle    bool // those do not count
	seesAll bool // there are no processes without an id here
	// server returns a running server that may attach the memory again although
	// nobody does now, nil if there is none.
	server func(*Object) *Process
}

// judge gives an object its verdict.
func judge(o *Object, ev evidence) {
	u := o.Use
	u.Verdict, u.Reasons = Unknown, nil
	if o.Kind.POSIX() {
		u.Verdict = u.judgeFile(o, ev)
		u.add(Age, "%s", age(o, ev.now))
		return
	}
	busy := false
	switch o.Kind {
	case ref.Shm:
		busy = u.judgeAttached(o.Segment)
	case ref.Sem:
		busy = u.judgeSet()
	case ref.Msg:
		busy = len(u.Waiting) > 0
		if busy {
			u.add(Waiting, "%s", counted(len(u.Waiting), "thread waits", "threads wait")+u.waiters())
		}
	}
	judged, known := u.judgeActors(ev)
	readable := o.Kind != ref.Sem || u.Semaphores != nil
	if !known && readable {
		u.add(NeverUsed, "nobody has used it, and the kernel does not keep who made it")
	}
	switch {
	case busy:
		u.Verdict = InUse
	case !readable:
		u.add(NotReadable, "its last users are not known: %s", u.unread())
	case o.Kind == ref.Msg && judged == Orphan:
		u.Verdict = u.judgeQueue(ev)
	case o.Kind == ref.Shm && judged == Orphan:
		u.Verdict = u.judgeMemory(o, ev)
	default:
		u.Verdict = judged
	}
	u.add(Age, "%s", age(o, ev.now))
}

func (u *Use) add(code Code, format string, args ...any) {
	u.Reasons = append(u.Reasons, Reason{code, fmt.Sprintf(format, args...)})
}

func (u *Use) judgeAttached(s *sysv.SegmentInfo) (busy bool) {
	if s.Dest {
		u.add(Marked, "it is marked for removal and goes with its last attachment")
	}
	if s.NAttch == 0 {
		u.add(NotAttached, "nobody is attached")
		return false
	}
	u.add(Attached, "%s", counted(int(s.NAttch), "attachment", "attachments")+u.attachers())
	return true
}

// attachers names the first few of them.
func (u *Use) attachers() string {
	return list(names(u.Attached, func(a *Attacher) *Process { return a.Process }), u.HiddenAttachments)
}

func (u *Use) waiters() string {
	return list(names(u.Waiting, func(w *Waiter) *Process { return w.Process }), u.HiddenWaiters)
}

func names[T any](uses []T, process func(*T) *Process) (list []string) {
	for i := range uses {
		list = append(list, process(&uses[i]).name())
	}
	return list
}

func list(names []string, hidden int) string {
	const most = 4
	if more := len(names) - most; more > 0 {
		names = append(names[:most:most], fmt.Sprintf("%d more", more))
	}
	if hidden > 0 {
		names = append(names, fmt.Sprintf("%d not visible", hidden))
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + strings.Join(names, ", ")
}

func (p *Process) name() string {
	if p.Comm == "" {
		return fmt.Sprintf("process %d", p.PID)
	}
	return fmt.Sprintf("%s[%d]", p.Comm, p.PID)
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// unread says why the semaphores of a set were not read.
func (u *Use) unread() string {
	if u.Unread == nil || errors.Is(u.Unread, fs.ErrPermission) {
		return "it may not be read"
	}
	return u.Unread.Error()
}

func (u *Use) judgeSet() (busy bool) {
	waiting := 0
	for _, s := range u.Semaphores {
		waiting += s.NCount + s.ZCount
	}
	if waiting = max(waiting, len(u.Waiting)); waiting > 0 {
		u.add(Waiting, "%s", counted(waiting, "thread waits", "threads wait")+u.waiters())
		return true
	}
	if u.Semaphores != nil {
		u.add(NotWaiting, "nobody waits")
	}
	return false
}

// judgeActors says what follows from the processes that the object names. It is not ok
// if there are none.
func (u *Use) judgeActors(ev evidence) (v Verdict, ok bool) {
	if ev.proc != nil {
		u.add(NoProc, "no process can be looked up: %v", ev.proc)
		return Unknown, true
	}
	alive, ended, unseen := 0, 0, 0
	for i := range u.Actors {
		a := &u.Actors[i]
		switch a.State {
		case None:
			continue
		case Alive:
			alive++
			u.add(ActorAlive, "%s %s is alive", a.title(), a.Process.name())
		case Gone:
			ended++
			u.add(ActorGone, "%s %d is gone", a.title(), a.PID)
		case Reused:
			ended++
			u.add(ActorReused, "%s %d is gone: that id was given to %s later", a.title(), a.PID, a.Process.Comm)
		case Unseen:
			unseen++
			u.add(ActorUnseen, "%s is not known: %s", a.title(), a.Why)
		}
	}
	switch {
	case alive > 0:
		return Idle, true
	case unseen > 0:
		return Unknown, true
	case ended > 0:
		return Orphan, true
	default:
		return Unknown, false
	}
}

// title returns the role of an actor and what it did it with.
func (a *Actor) title() string {
	title := "the " + a.Role.String()
	const most = 4
	switch {
	case a.Role != Operator || len(a.Sems) == 0:
	case len(a.Sems) == 1:
		title += fmt.Sprintf(" of semaphore %d", a.Sems[0])
	case len(a.Sems) <= most:
		title += fmt.Sprintf(" of semaphores %s", strings.Trim(fmt.Sprint(a.Sems), "[]"))
	default:
		title += fmt.Sprintf(" of %d semaphores", len(a.Sems))
	}
	return title
}

// judgeQueue decides about a queue whose last users have ended. Only a look at all
// processes tells that nobody waits: the kernel does not count waiters.
func (u *Use) judgeQueue(ev evidence) Verdict {
	switch {
	case !ev.waiters:
		u.add(ProcessHidden, "it was not looked up whether anybody waits")
	case ev.hidden.Any() && !ev.idle:
		u.add(ProcessHidden, "somebody may wait: %s", &ev.hidden)
	default:
		u.add(NotWaiting, "nobody waits")
		return Orphan
	}
	return Unknown
}

// judgeFile decides about a POSIX object. The kernel keeps neither who made it nor how
// many have it mapped or open: all that is known is who does now.
func (u *Use) judgeFile(o *Object, ev evidence) Verdict {
	if n := len(u.Mapped); n > 0 {
		u.add(Mapped, "%s", counted(n, "process maps it", "processes map it")+list(names(u.Mapped, func(m *Mapper) *Process { return m.Process }), 0))
	}
	if n := len(u.Open); n > 0 {
		u.add(Open, "%s", counted(n, "process has it open", "processes have it open")+list(names(u.Open, func(p *Opener) *Process { return p.Process }), 0))
	}
	switch {
	case len(u.Mapped)+len(u.Open) > 0:
		return InUse
	case ev.proc != nil:
		u.add(NoProc, "no process can be looked up: %v", ev.proc)
		return Unknown
	case ev.hidden.Whole() && !ev.idle:
		u.add(ProcessHidden, "somebody may use it: %s", &ev.hidden)
		return Unknown
	case !ev.seesAll && !ev.idle:
		u.add(ProcessHidden, "somebody may use it: processes outside of this pid namespace are not seen")
		return Unknown
	}
	u.add(NotOpen, "nobody maps it or has it open")
	return u.judgeMemory(o, ev)
}

// judgeMemory decides about an object that nobody uses who lives.
func (u *Use) judgeMemory(o *Object, ev evidence) Verdict {
	if server := ev.server(o); server != nil {
		u.add(ServerAlive, "%s of the same user runs, and its processes attach segments of others that have ended", server.name())
		return Unknown
	}
	return Orphan
}

func age(o *Object, now time.Time) string {
	changed, used := o.Changed(), o.Used()
	switch {
	case o.Kind == ref.PMsg:
		return "made or used " + ago(now, used)
	case o.Kind.POSIX():
		return "made or changed " + ago(now, changed)
	case used.IsZero():
		return "changed " + ago(now, changed) + ", never used"
	default:
		return "changed " + ago(now, changed) + ", used " + ago(now, used)
	}
}

// ago says how long something is past, in its largest unit.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	const day = 24 * time.Hour
	switch {
	case t.IsZero():
		return "never"
	case d < 0:
		return "in the future"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	default:
		return fmt.Sprintf("%d days ago", d/day)
	}
}
