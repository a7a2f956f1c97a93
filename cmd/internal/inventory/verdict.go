package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// A Verdict reports whether any process needs an object; see the package documentation.
type Verdict int

const (
	Unknown Verdict = iota
	InUse
	Idle
	Orphan
)

func (v Verdict) String() string { return [...]string{"unknown", "in use", "idle", "orphan"}[v] }

// An Answer is yes, no or unknown.
type Answer int

const (
	NotKnown Answer = iota
	No
	Yes
)

func (a Answer) String() string { return [...]string{"unknown", "no", "yes"}[a] }

// A Reason is a fact on which a verdict is based.
type Reason struct {
	Code Code
	Text string // for people; may contain unescaped names of processes
}

// A Code identifies the kind of a Reason for programs.
type Code string

const (
	Attached    Code = "attached"       // a process is attached
	Mapped      Code = "mapped"         // a process has it mapped
	Open        Code = "open"           // a process has it open
	NotOpen     Code = "not-open"       // nobody has it mapped or open
	NotAttached Code = "not-attached"   // nobody is attached
	Waiting     Code = "waiting"        // a thread waits
	NotWaiting  Code = "not-waiting"    // nobody waits
	Marked      Code = "marked"         // removed already, exists until its last detach
	ActorAlive  Code = "process-alive"  // a process that created or used it is alive
	ActorGone   Code = "process-gone"   // has ended
	ActorReused Code = "process-reused" // has ended, and its id was reused
	ActorUnseen Code = "process-unseen" // cannot be known
	XServer     Code = "x-server"       // its last user is an X server, which does not need it
	NeverUsed   Code = "never-used"     // never used since it was created
	NotReadable Code = "not-readable"   // the caller may not read the object
	OwnerGone   Code = "owner-gone"     // no process of its owner and creator is left
	Age         Code = "age"            // when it was changed and used

	// These keep an object from being an orphan.
	Messages      Code = "messages"        // it holds messages
	OwnerAlive    Code = "owner-alive"     // an older process of its owner or creator may know it
	RootAlive     Code = "root-alive"      // an older process of root may be the parent of its users
	FamilyAlive   Code = "family-alive"    // its family has an object that is needed
	NamedAfter    Code = "named-after"     // its name holds the id of a living process
	JobRunning    Code = "job-running"     // a batch job runs that may use it again in its next step
	ServerAlive   Code = "server-alive"    // a running server may attach or map it again
	ProcessHidden Code = "process-hidden"  // a process that cannot be inspected might use it
	NoProc        Code = "proc-unreadable" // /proc cannot be used
	UsedMeanwhile Code = "used-meanwhile"  // it was used or changed while processes were inspected
)

// An evidence holds what judge needs to know besides the objects. Its functions are
// expensive, so they are called only for objects that would otherwise be orphans.
type evidence struct {
	now      time.Time
	proc     error // why /proc could not be used
	waiters  bool  // the threads of processes were inspected
	hidden   *Hidden
	idle     bool // hidden and unseen processes do not count
	seesAll  bool // every process has an id here
	messages bool // messages do not count
	witness
}

// A witness knows about the processes of the machine.
type witness interface {
	// server returns a running server that may attach the memory again although nobody has
	// it attached now, or nil if there is none.
	server(*Object) *Process
	// holder looks for a living process that may know the identifier of a System V object
	// although the object does not name that process, and returns why it may. The Reason
	// has no code if there is none.
	holder(*Object) Reason
	// job returns why a running batch job may use an object although none of its processes
	// uses it at the moment. The Reason has no code if there is no such job.
	job(*Object) Reason
	// named returns a living process whose id is in the name of a POSIX object.
	named(*Object) *Process
	// ownerLeft returns No if no process of the object's owner and creator is left.
	ownerLeft(*Object) Answer
	// opened is the function Opened.
	opened(*Object) (is, known bool)
}

// judge gives objects their verdicts.
func judge(objects []Object, ev evidence) {
	for i := range objects {
		o := &objects[i]
		o.Use.Verdict, o.Use.Reasons = Unknown, nil
		if o.Kind.POSIX() {
			o.Use.Verdict = o.Use.judgeFile(o, ev)
		} else {
			o.Use.Verdict = o.Use.judgeObject(o, ev)
		}
	}
	keepFamilies(objects)
	for i := range objects {
		o := &objects[i]
		o.Use.add(Age, "%s", age(o, ev.now))
	}
}

// judgeObject returns the verdict on a System V object.
func (u *Use) judgeObject(o *Object, ev evidence) Verdict {
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
		return InUse
	case !readable:
		u.add(NotReadable, "its last users are not known: %s", u.unread())
		return Unknown
	case judged == Idle || ev.proc != nil:
		return judged
	}
	return u.judgeRest(o, ev, judged == Orphan)
}

// judgeRest returns the verdict on a System V object that nobody uses now. ended means
// that all processes known to have used it have ended. Otherwise it is an orphan only if
// no process is left that could want it.
func (u *Use) judgeRest(o *Object, ev evidence, ended bool) Verdict {
	if !ended {
		if ev.ownerLeft(o) != No {
			return Unknown
		}
		u.add(OwnerGone, "no process of its owner and creator is left")
	}
	before := len(u.Reasons)
	if !ev.seesAll && !ev.idle {
		u.add(ProcessHidden, "somebody may use it: processes outside of this pid namespace are not seen")
	}
	if ev.hidden.Unlisted && !ev.idle {
		u.add(ProcessHidden, "somebody may use it: /proc does not list all processes (mount option hidepid)")
	}
	if o.Kind == ref.Msg {
		u.judgeQueue(o, ev)
	}
	if server := ev.server(o); server != nil {
		u.add(ServerAlive, "%s of the same user runs, and its processes attach segments of others that have ended", server.name())
	}
	for _, r := range [...]Reason{ev.holder(o), ev.job(o)} {
		if r.Code != "" {
			u.Reasons = append(u.Reasons, r)
		}
	}
	if len(u.Reasons) > before {
		return Unknown
	}
	if o.Kind == ref.Msg {
		u.add(NotWaiting, "nobody waits")
	}
	return Orphan
}

func (u *Use) add(code Code, format string, args ...any) {
	u.Reasons = append(u.Reasons, reason(code, format, args...))
}

func reason(code Code, format string, args ...any) Reason {
	return Reason{code, fmt.Sprintf(format, args...)}
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

// attachers names the first few attached processes.
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

// unread returns why the semaphores of a set were not read.
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

// judgeActors returns the verdict that follows from the processes that the object names.
// ok is false if there are none.
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
			if a.XServer {
				ended++
				u.add(XServer, "%s %s is an X server, which detaches after its clients", a.title(), a.Process.name())
				continue
			}
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

// title returns the role of an actor and the semaphores it operated on.
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

// judgeQueue adds the reasons why a queue may not be an orphan. Only an inspection of all
// processes shows that nobody waits, because the kernel does not count waiters.
func (u *Use) judgeQueue(o *Object, ev evidence) {
	if n := o.Queue.QNum; n > 0 && !ev.messages {
		u.add(Messages, "%s unread", counted(int(n), "message is", "messages are"))
	}
	if !ev.waiters {
		u.add(ProcessHidden, "it was not looked up whether anybody waits")
	}
	if ev.idle {
		return
	}
	var may Hidden
	for _, p := range ev.hidden.Processes {
		if p.Credentials == nil || mayEverUse(o.Perm(), p.Credentials) {
			may.Processes = append(may.Processes, p)
		}
	}
	if may.Any() {
		u.add(ProcessHidden, "somebody may wait: %s", &may)
	}
}

const capIPCOwner = 1 << 15 // CAP_IPC_OWNER

// mayEverUse reports whether any of a process's ids permits it to use a queue or a set.
func mayEverUse(perm *sysv.Perm, c *procfs.Credentials) bool {
	granted := perm.Mode & 7
	for _, uid := range c.UIDs {
		if uid == 0 {
			return true
		}
		if uid == perm.UID || uid == perm.CUID {
			granted |= perm.Mode >> 6 & 7
		}
	}
	for _, gid := range slices.Concat(c.GIDs[:], c.Groups) {
		if gid == perm.GID || gid == perm.CGID {
			granted |= perm.Mode >> 3 & 7
		}
	}
	return granted != 0 || c.Caps&capIPCOwner != 0
}

// judgeFile returns the verdict on a POSIX object. The kernel records neither its creator
// nor how many processes have it mapped or open; only its current users can be found.
func (u *Use) judgeFile(o *Object, ev evidence) Verdict {
	if n := len(u.Mapped); n > 0 {
		u.add(Mapped, "%s", counted(n, "process maps it", "processes map it")+list(names(u.Mapped, func(m *Mapper) *Process { return m.Process }), 0))
	}
	if n := len(u.Open); n > 0 {
		u.add(Open, "%s", counted(n, "process has it open", "processes have it open")+list(names(u.Open, func(p *Opener) *Process { return p.Process }), 0))
	}
	if len(u.Mapped)+len(u.Open) > 0 {
		return InUse
	}
	if ev.proc != nil {
		u.add(NoProc, "no process can be looked up: %v", ev.proc)
		return Unknown
	}
	before := len(u.Reasons)
	if o.Kind == ref.PMsg {
		u.judgeContent(o.PMsg, ev)
	}
	if server := ev.server(o); server != nil {
		u.add(ServerAlive, "%s runs, whose program maps objects again that nobody has open", server.name())
	}
	if p := ev.named(o); p != nil {
		u.add(NamedAfter, "its name holds the number of a living process: %s", p.name())
	}
	if r := ev.job(o); r.Code != "" {
		u.Reasons = append(u.Reasons, r)
	}
	if len(u.Reasons) > before {
		return Unknown
	}
	return u.judgeUnseen(o, ev)
}

func (u *Use) judgeContent(q *posix.QueueInfo, ev evidence) {
	switch {
	case ev.messages:
	case !q.Known:
		u.add(NotReadable, "it may not be read, so it is not known whether it holds messages")
	case q.CurMsgs > 0:
		u.add(Messages, "%s unread", counted(int(q.CurMsgs), "message is", "messages are"))
	}
}

// judgeUnseen returns the verdict on a POSIX object for which no user was found. If
// processes may have been missed, it asks the kernel, which knows all users.
func (u *Use) judgeUnseen(o *Object, ev evidence) Verdict {
	switch is, known := ev.opened(o); {
	case is:
		u.add(Open, "it is open where that cannot be seen, says the kernel")
		return InUse
	case known:
		u.add(NotOpen, "nobody maps it or has it open, says the kernel")
		return Orphan
	case ev.seesAll && !ev.hidden.Whole() || ev.idle:
		u.add(NotOpen, "nobody maps it or has it open")
		return Orphan
	case ev.hidden.Whole():
		u.add(ProcessHidden, "somebody may use it: %s", ev.hidden)
	default:
		u.add(ProcessHidden, "somebody may use it: processes outside of this pid namespace are not seen")
	}
	return Unknown
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

// ago returns the time since t, in its largest unit.
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
