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

// Want says what to find out beyond the objects themselves.
type Want uint

const (
	// WantMemory fills Use.Memory. It reads /proc/sysvipc/shm.
	WantMemory Want = 1 << iota
	// WantSemaphores fills Use.Semaphores: four calls for each semaphore.
	WantSemaphores
	// WantAttached fills Use.Attached. It reads the memory maps of all processes of
	// the namespace.
	WantAttached
	// WantWaiting fills Use.Waiting and Inventory.Deadlocks, and for that
	// Use.Semaphores and Use.Actors. It looks at all threads of all processes of the
	// namespace.
	WantWaiting
	// WantActors fills Use.Actors. It looks at the processes that the objects name.
	WantActors
	// WantVerdict fills Use.Verdict and Use.Reasons, and what they rest on:
	// Use.Semaphores and Use.Actors, if there are queues Use.Waiting, and if there are
	// POSIX objects Use.Mapped and Use.Open.
	WantVerdict
	// WantProgram fills Use.Program, Use.Attached, Use.Mapped, Use.Open and Use.Actors.
	WantProgram
	// WantOpen fills Use.Mapped and Use.Open of POSIX objects. It reads the memory
	// maps and the descriptors of all processes, if there are POSIX objects.
	WantOpen
	// WantContainers fills Process.Container and Process.InnerPID.
	WantContainers
	// WantOwner fills Use.OwnerGone, and for that what WantVerdict fills.
	WantOwner
)

// needs adds to w what it rests on.
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

// wantProc is what has to be looked up in /proc.
const wantProc = WantMemory | WantAttached | WantWaiting | WantOpen | WantActors | WantVerdict | WantProgram

// Options says what Collect finds out. The zero Options lists all objects and
// reads nothing else.
type Options struct {
	// Kinds are the kinds of objects to list; none means all that can be listed (see
	// Inventory.Unlisted).
	Kinds []ref.Kind
	// Partial makes a kind of Kinds that can't be listed no error, but one of
	// Inventory.Unlisted.
	Partial bool
	// Unlinked adds the memory of /dev/shm whose name was unlinked while processes had it
	// mapped or open (PShm.Links is 0). The memory maps and descriptors of all processes
	// are read for it.
	Unlinked bool
	// Missing tells why kinds can't be listed (see Sight). Collect does not look for them.
	Missing map[ref.Kind]error
	Want    Want
	// Proc is where the proc file system is mounted; "" means /proc.
	Proc string
	// HiddenIdle takes processes that may not be seen or looked into (see Hidden) for
	// users of no object. Otherwise what they might use is no orphan.
	HiddenIdle bool
	// WithMessages takes a queue that holds messages for one that holds none. Otherwise
	// it is needed by whoever is to receive them.
	WithMessages bool
	// Memory chooses the segments whose Use.Memory WantMemory fills; nil is all.
	Memory func(*Object) bool
	// Contents chooses segments that WantProgram, with WantVerdict, attaches read-only
	// to look at their first bytes, if their verdict is orphan. That changes their last
	// process and times; of an orphan the former has ended. A segment that the kernel
	// would destroy with that attachment (sysctl kernel.shm_rmid_forced) is left alone.
	Contents func(*Object) bool
	// DataDirs are directories that may be data directories of PostgreSQL, beyond
	// the customary ones and those of running servers.
	DataDirs []string

	only *ref.Object // the one that is listed, unless it is nil; see CollectOne

	// fault, unless it is nil, stands before each call on /proc (procfs.Fault). It is there
	// for tests.
	fault func(call, name string) ([]byte, error)
}

// lists reports whether objects of a kind are to be listed.
func (o *Options) lists(kind ref.Kind) bool {
	return len(o.Kinds) == 0 || slices.Contains(o.Kinds, kind)
}

// An Inventory is what Collect found.
type Inventory struct {
	// Namespace is the inode number of the IPC namespace, 0 if it is not known (it
	// is looked up only when /proc is read at all).
	Namespace uint64
	Taken     time.Time
	// Objects are in the order of the kernel's tables: segments, sets, queues. POSIX
	// objects follow, in the order of their names: memory, semaphores, queues.
	Objects []Object
	// Unlisted are the kinds of which there may be objects that are not among Objects:
	// POSIX objects that no file system shows, though all kinds were asked for, and what
	// the kernel does not tell of System V objects, such as the limit of a queue.
	Unlisted []Unlisted
	// HiddenIdle and WithMessages are those of Options. Outside says that there may be
	// processes that have no id in this pid namespace, and so are in no /proc.
	HiddenIdle, WithMessages, Outside bool
	// Deadlocks are rings of processes that wait for each other, as far as the last
	// users of semaphores are their holders.
	Deadlocks []Deadlock
	Hidden    Hidden
}

// Unlisted tells why objects of a kind are not listed, or not all that there is to know.
type Unlisted struct {
	Kind ref.Kind
	Err  error
}

// An Object is an object of one of the kinds. Exactly one of the pointers to what
// the kernel tells is set.
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

// Ref returns what the object is known by.
func (o *Object) Ref() ref.Object {
	if file := o.File(); file != nil {
		return ref.Object{Kind: o.Kind, Name: file.Name}
	}
	return ref.Object{Kind: o.Kind, ID: o.ID()}
}

// File returns what the file system tells of a POSIX object, nil for others.
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

// ID returns the identifier of a System V object, -1 for others.
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

// Perm returns owner, creator, key and mode of a System V object, nil for others.
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

// Removed reports whether the object has been removed and lasts only as long as somebody
// uses it: a segment that is marked for removal, or memory without a name.
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

// Changed returns when the object was created or last changed in owner or mode. Of a
// POSIX queue the kernel does not keep that: it returns what Used does.
func (o *Object) Changed() time.Time {
	switch o.Kind {
	case ref.Shm:
		return o.Segment.CTime
	case ref.Sem:
		return o.Set.CTime
	case ref.Msg:
		return o.Queue.CTime
	case ref.PMsg: // its ctime is when somebody last looked at it
		return o.PMsg.MTime
	default:
		return o.File().CTime
	}
}

// Used returns when the object was last used: attached, detached, operated on,
// sent to or received from. It is zero if that never was. Of POSIX objects it is
// what their files tell: memory was mapped, read or resized, a queue created, sent
// to or received from; a semaphore is used without a trace.
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

// Use is what was found out about an object. A field that Options.Want did not
// ask for is zero.
type Use struct {
	Memory *procfs.SegmentMemory // of a segment; nil if not known

	Attached []Attacher // by pid
	// HiddenAttachments is how many of a segment's attachments (nattch) were not
	// found: they belong to processes that the caller may not see or look into.
	HiddenAttachments int

	// Mapped and Open are the processes that have a POSIX object mapped, and those that
	// have it open, both by pid.
	Mapped []Mapper
	Open   []Opener

	Semaphores []Semaphore // of a set; nil if they were not read
	Unread     error       // why they were not; the caller may not, or they are too many
	Waiting    []Waiter    // by pid and tid
	// HiddenWaiters is how many threads wait on a set beyond those that were found.
	// The kernel does not count those that wait on a queue.
	HiddenWaiters int

	Actors  []Actor
	Verdict Verdict
	Reasons []Reason
	// OwnerGone is Yes if no process of the object's owner and creator is left and
	// nobody uses it. It is never Yes of what root owns or made, nor of what a worker of
	// a running server may come back to: root's Apache or PHP-FPM starts workers of other
	// users when there is work.
	OwnerGone Answer
	Program   *Program // nil if nothing points to one
}

// A Process is a living process.
type Process struct {
	PID  int
	Comm string // its name, of up to 15 bytes of any kind
	UID  uint32 // effective user id

	// With WantContainers: the container it runs in, and its id in its own pid
	// namespace, which is what the container's own tools show.
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
	Private  bool // all of its mappings are: nobody else sees what it writes
	Mappings int
}

// An Opener is a process that has a POSIX object open.
type Opener struct {
	*Process
	Read, Write bool // what it opened it for
	Descriptors int
}

// A Semaphore is one of a set.
type Semaphore = sysvipc.Semaphore

// A Waiter is a thread that sleeps in semop, semtimedop, msgsnd or msgrcv.
type Waiter struct {
	*Process
	TID int
	// Credentials are the thread's own. Capabilities that do not count in this IPC
	// namespace are left out.
	Credentials *procfs.Credentials
	// Since is about when it fell asleep, zero if that is not known. A wait that is
	// interrupted and begun again, by a signal for instance, counts as a new one.
	Since time.Time

	// Of a wait on a set: the operations as the memory of the process tells, nil if
	// it may not be read; the index in Ops of the one that can not go on, -1 if that
	// is not known; whether there is a timeout; and who operated last on the
	// semaphore waited for, which is likely the holder if the semaphore is a lock.
	Ops     []sysv.Op
	Blocked int
	Timed   bool
	Holder  *Actor

	// Of a wait on a queue.
	Sending bool
	Size    int // bytes of text to send, or room for
	// Type is that of the message to send, or the selector of the receiver, if
	// TypeKnown.
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

// State is what has become of a process that an object names.
type State int

const (
	// None: there is no such process; nobody has used the object so.
	None State = iota
	// Alive: it runs.
	Alive
	// Gone: there is no process of that id.
	Gone
	// Reused: the process of that id was started later.
	Reused
	// Unseen: it can't be known; Actor.Why says why not.
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
	// Process is the living process of that id: the actor itself if State is Alive,
	// its successor if it is Reused; it may be nil if it is Unseen.
	Process *Process
	Started time.Time // of Process, by the clock as it is set now; zero if it was not looked up
	When    time.Time // when it acted last, at the latest; zero if not known
	Sems    []int     // the semaphores that an Operator operated on last
	XServer bool      // it is an X server whose client made the segment
	Why     string    // for Unseen
}
