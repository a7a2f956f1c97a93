package inventory

import (
	"slices"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// A Want selects what to find out beyond the objects themselves.
type Want uint

const (
	// WantMemory fills Use.Memory. It reads /proc/sysvipc/shm.
	WantMemory Want = 1 << iota
	// WantSemaphores fills Use.Semaphores. It makes four calls for each semaphore.
	WantSemaphores
	// WantAttached fills Use.Attached. It reads the memory maps of all processes of
	// the namespace.
	WantAttached
	// WantWaiting fills Use.Waiting and Inventory.Deadlocks, and for that Use.Semaphores
	// and Use.Actors. It inspects all threads of all processes of the namespace.
	WantWaiting
	// WantActors fills Use.Actors. It inspects the processes that the objects name.
	WantActors
	// WantVerdict fills Use.Verdict and Use.Reasons, and what they are based on:
	// Use.Semaphores and Use.Actors; if there are queues, Use.Waiting; if there are POSIX
	// objects, Use.Mapped and Use.Open.
	WantVerdict
	// WantProgram fills Use.Program, Use.Attached, Use.Mapped, Use.Open and Use.Actors.
	WantProgram
	// WantOpen fills Use.Mapped and Use.Open of POSIX objects. It reads the memory
	// maps and the descriptors of all processes, if there are POSIX objects.
	WantOpen
	// WantContainers fills Process.Container and Process.InnerPID.
	WantContainers
	// WantOwner fills Use.OwnerGone, and everything that WantVerdict fills.
	WantOwner
)

// needs adds to w everything that it is based on.
func (w Want) needs(queues bool) Want {
	if w&WantProgram != 0 {
		w |= WantAttached | WantOpen | WantActors
	}
	if w&WantOwner != 0 {
		w |= WantVerdict
	}
	if w&WantVerdict != 0 {
		w |= WantSemaphores | WantOpen | WantActors
		if queues {
			w |= WantWaiting
		}
	}
	if w&WantWaiting != 0 {
		w |= WantSemaphores | WantActors
	}
	return w
}

// wantProc is everything that requires /proc.
const wantProc = WantMemory | WantAttached | WantWaiting | WantOpen | WantActors | WantVerdict | WantProgram

// Options holds the options of Collect. The zero value lists all objects and reads nothing
// else.
type Options struct {
	// Kinds are the kinds of objects to list; none means all that can be listed (see
	// Inventory.Unlisted).
	Kinds []ref.Kind
	// Partial adds a kind of Kinds that cannot be listed to Inventory.Unlisted, instead of
	// returning an error.
	Partial bool
	// Unlinked adds the memory of /dev/shm whose name was unlinked while processes had it
	// mapped or open (PShm.Links is 0). It reads the memory maps and descriptors of all
	// processes.
	Unlinked bool
	// Missing explains why kinds cannot be listed (see Sight). Collect does not look for them.
	Missing map[ref.Kind]error
	Want    Want
	// Proc is where the proc file system is mounted; "" means /proc.
	Proc string
	// HiddenIdle assumes that processes that cannot be seen or inspected (see Hidden) use
	// none of the objects. Otherwise nothing that they might use is an orphan.
	HiddenIdle bool
	// WithMessages ignores whether a queue holds messages. Otherwise a queue that holds
	// messages is needed by their receiver.
	WithMessages bool
	// Memory selects the segments for which WantMemory fills Use.Memory. nil selects all.
	Memory func(*Object) bool
	// Contents selects segments whose first bytes WantProgram, together with WantVerdict,
	// may read. If such a segment is an orphan, it is attached read-only, which changes
	// its last user, who has ended, and its times. A segment that the kernel would destroy
	// after that (sysctl kernel.shm_rmid_forced) is not attached.
	Contents func(*Object) bool
	// DataDirs are possible data directories of PostgreSQL, besides the customary ones and
	// those of running servers.
	DataDirs []string

	only *ref.Object // if not nil, the only object to list; see CollectOne

	// fault, if not nil, is called before each call on /proc (procfs.Fault). It is for
	// tests.
	fault func(call, name string) ([]byte, error)
}

// lists reports whether to list objects of a kind.
func (o *Options) lists(kind ref.Kind) bool {
	return len(o.Kinds) == 0 || slices.Contains(o.Kinds, kind)
}

// An Inventory is what Collect found.
type Inventory struct {
	// Namespace is the inode number of the IPC namespace, or 0 if it is unknown. It is
	// only looked up if /proc is read at all.
	Namespace uint64
	Taken     time.Time
	// Objects are in the order of the kernel's tables: segments, sets, queues. POSIX
	// objects follow, in the order of their names: memory, semaphores, queues.
	Objects []Object
	// Unlisted names the kinds of which Objects may not hold everything: POSIX objects
	// that no file system shows although all kinds were asked for, and facts that the
	// kernel does not report about System V objects, such as the limit of a queue.
	Unlisted []Unlisted
	// HiddenIdle and WithMessages are those of Options. Outside is set if there may be
	// processes that have no id in this PID namespace and so are in no /proc.
	HiddenIdle, WithMessages, Outside bool
	// Deadlocks are rings of processes that wait for each other, assuming that the last
	// user of a semaphore holds it.
	Deadlocks []Deadlock
	Hidden    Hidden
}

// An Unlisted explains why objects of a kind, or facts about them, are missing.
type Unlisted struct {
	Kind ref.Kind
	Err  error
}

// An Object is an object of one of the kinds. Exactly one of the pointers to the kernel's
// information is set.
type Object struct {
	Kind    ref.Kind
	Segment *sysv.SegmentInfo
	Set     *sysv.SetInfo
	Queue   *sysv.QueueInfo
	PShm    *posix.FileInfo
	PSem    *posix.SemaphoreInfo
	PMsg    *posix.QueueInfo
	Use     *Use // nil unless Options.Want asks for something
}

// Ref returns the name of the object.
func (o *Object) Ref() ref.Object {
	if file := o.File(); file != nil {
		return ref.Object{Kind: o.Kind, Name: file.Name}
	}
	return ref.Object{Kind: o.Kind, ID: o.ID()}
}

// File returns what the file system reports about a POSIX object, or nil for others.
func (o *Object) File() *posix.FileInfo {
	switch o.Kind {
	case ref.PShm:
		return o.PShm
	case ref.PSem:
		return &o.PSem.FileInfo
	case ref.PMsg:
		return &o.PMsg.FileInfo
	default:
		return nil
	}
}

// ID returns the identifier of a System V object, or -1 for others.
func (o *Object) ID() int {
	switch o.Kind {
	case ref.Shm:
		return o.Segment.ID
	case ref.Sem:
		return o.Set.ID
	case ref.Msg:
		return o.Queue.ID
	default:
		return -1
	}
}

// Perm returns owner, creator, key and mode of a System V object, or nil for others.
func (o *Object) Perm() *sysv.Perm {
	switch o.Kind {
	case ref.Shm:
		return &o.Segment.Perm
	case ref.Sem:
		return &o.Set.Perm
	case ref.Msg:
		return &o.Queue.Perm
	default:
		return nil
	}
}

// Removed reports whether the object has been removed and exists only while it is used: a
// segment marked for removal, or memory without a name.
func (o *Object) Removed() bool {
	switch o.Kind {
	case ref.Shm:
		return o.Segment.Dest
	case ref.PShm:
		return o.PShm.Links == 0
	default:
		return false
	}
}

// Ownership returns owner and mode.
func (o *Object) Ownership() sysv.Ownership {
	if file := o.File(); file != nil {
		return sysv.Ownership{UID: file.UID, GID: file.GID, Mode: file.Mode}
	}
	return o.Perm().Ownership()
}

// Changed returns when the object was created, or last changed in owner or mode. The
// kernel does not record that for a POSIX queue; then Changed returns the same as Used.
func (o *Object) Changed() time.Time {
	switch o.Kind {
	case ref.Shm:
		return o.Segment.CTime
	case ref.Sem:
		return o.Set.CTime
	case ref.Msg:
		return o.Queue.CTime
	case ref.PMsg: // its ctime is the last time it was inspected
		return o.PMsg.MTime
	default:
		return o.File().CTime
	}
}

// Used returns when the object was last used: attached, detached, operated on, sent to or
// received from. It is zero if that never happened. For POSIX objects it is what their
// files show: memory was mapped, read or resized; a queue was created, sent to or received
// from. Using a semaphore leaves no trace.
func (o *Object) Used() time.Time {
	switch o.Kind {
	case ref.Shm:
		return latest(o.Segment.ATime, o.Segment.DTime)
	case ref.Sem:
		return o.Set.OTime
	case ref.Msg:
		return latest(o.Queue.STime, o.Queue.RTime)
	case ref.PShm:
		return latest(o.PShm.ATime, o.PShm.MTime)
	case ref.PMsg:
		return o.PMsg.MTime
	default:
		return time.Time{}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// A Use holds what was found out about an object. A field that Options.Want did not ask
// for is zero.
type Use struct {
	Memory *procfs.SegmentMemory // of a segment; nil if not known

	Attached []Attacher // by pid
	// HiddenAttachments is the number of a segment's attachments (nattch) that were not
	// found. They belong to processes that the caller cannot see or inspect.
	HiddenAttachments int

	// Mapped and Open are the processes that have a POSIX object mapped, and those that
	// have it open, both by pid.
	Mapped []Mapper
	Open   []Opener

	Semaphores []Semaphore // of a set; nil if they were not read
	Unread     error       // why they were not read: no permission, or too many
	Waiting    []Waiter    // by pid and tid
	// HiddenWaiters is the number of threads that wait on a set and were not found. The
	// kernel does not count threads that wait on a queue.
	HiddenWaiters int

	Actors  []Actor
	Verdict Verdict
	Reasons []Reason
	// OwnerGone is Yes if no process of the object's owner and creator is left and nobody
	// uses the object. It is never Yes for an object that root owns or created, or that a
	// worker of a running server may use again: root's Apache or PHP-FPM starts workers of
	// other users when there is work.
	OwnerGone Answer
	Program   *Program // nil if there is no sign of one
}

// A Process is a living process.
type Process struct {
	PID  int
	Comm string // its name, of up to 15 bytes of any kind
	UID  uint32 // effective user id

	// Container and InnerPID are set with WantContainers: the container it runs in, and
	// its id in its own PID namespace, which the container's own tools show.
	Container procfs.Container
	InnerPID  int
}

// An Attacher is a process that has a segment mapped.
type Attacher struct {
	*Process
	ReadOnly  bool // all of its mappings are
	Mappings  int
	HugePages bool // the segment is made of huge pages
}

// A Mapper is a process that has a POSIX object mapped.
type Mapper struct {
	*Process
	ReadOnly bool // all of its mappings are
	Private  bool // all of its mappings are: no other process sees its writes
	Mappings int
}

// An Opener is a process that has a POSIX object open.
type Opener struct {
	*Process
	Read, Write bool // the access for which it is open
	Descriptors int
}

// A Semaphore is one of a set.
type Semaphore = sysvipc.Semaphore

// A Waiter is a thread that sleeps in semop, semtimedop, msgsnd or msgrcv.
type Waiter struct {
	*Process
	TID int
	// Credentials are the thread's own. They omit capabilities that do not count in this
	// IPC namespace.
	Credentials *procfs.Credentials
	// Since is approximately when it fell asleep, or zero if that is unknown. A wait that
	// is interrupted and restarted, for instance by a signal, counts as a new one.
	Since time.Time

	// For a wait on a set: the operations in the memory of the process, or nil if it
	// cannot be read; the index in Ops of the operation that blocks, or -1 if unknown;
	// whether there is a timeout; and the last process that operated on that semaphore,
	// which is probably the holder if the semaphore is a lock.
	Ops     []sysv.Op
	Blocked int
	Timed   bool
	Holder  *Actor

	// For a wait on a queue.
	Sending bool
	Size    int // bytes of text to send, or that it has room for
	// Type is the type of the message to send, or the receiver's selector. It is valid if
	// TypeKnown is set.
	Type      int64
	TypeKnown bool
	Except    bool // MSG_EXCEPT: any type but that
}

// Role is what a process did with an object.
type Role int

const (
	Creator  Role = iota // made the segment
	User                 // attached or detached the segment last
	Operator             // operated last on semaphores of the set
	Sender               // sent last to the queue
	Receiver             // received last from the queue
)

func (r Role) String() string {
	return [...]string{"creator", "last user", "last operator", "last sender", "last receiver"}[r]
}

// A State is what has become of a process that an object names.
type State int

const (
	// None: there is no such process; the object was never used this way.
	None State = iota
	// Alive: the process runs.
	Alive
	// Gone: no process has that id.
	Gone
	// Reused: the process with that id was started later.
	Reused
	// Unseen: this cannot be known; Actor.Why says why.
	Unseen
)

func (s State) String() string {
	return [...]string{"none", "alive", "gone", "reused", "unknown"}[s]
}

// An Actor is a process that an object names.
type Actor struct {
	Role  Role
	PID   int // 0 if it is not visible from here, or if there was none
	State State
	// Process is the living process with that id: the actor itself if State is Alive,
	// another process if it is Reused. It may be nil if State is Unseen.
	Process *Process
	Started time.Time // start of Process, by the current clock; zero if it was not looked up
	When    time.Time // latest possible time of its last action; zero if unknown
	Sems    []int     // the semaphores that an Operator operated on last
	XServer bool      // it is an X server whose client made the segment
	Why     string    // for Unseen
}
