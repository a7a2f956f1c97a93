package limits

import (
	"cmp"
	"os"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// Amount returns how much of the limit an object uses.
func (l Limit) Amount(o *inventory.Object) uint64 {
	if !l.Concerns(o.Kind) {
		return 0
	}
	switch l.Name {
	case "SHMMNI", "SEMMNI", "MSGMNI", "queues_max", devShmFiles:
		return 1
	case "SHMALL":
		page := uint64(os.Getpagesize())
		return (uint64(o.Segment.Size) + page - 1) / page
	case "SEMMNS":
		return uint64(o.Set.NSems)
	case "MSGMNB":
		return max(o.Queue.CBytes, o.Queue.QNum)
	case devShmSize:
		return uint64(o.File().Memory)
	case "msg_max":
		return uint64(o.PMsg.CurMsgs)
	case rlimitMsgQueue:
		return QueueBytes(uint64(o.PMsg.MaxMsgs), uint64(o.PMsg.MsgSize))
	default:
		return 0
	}
}

// own returns a queue's own limit.
func (l Limit) own(o *inventory.Object) (own Limit, ok bool) {
	switch {
	case l.Name == "MSGMNB" && o.Kind == ref.Msg:
		return ownOfQueue(o.Queue)
	case l.Name == "msg_max" && o.Kind == ref.PMsg && o.PMsg.Known:
		return Limit{Value: uint64(o.PMsg.MaxMsgs), Use: uint64(o.PMsg.CurMsgs)}, true
	default:
		return Limit{}, false
	}
}

// ownOfQueue returns a queue's own limit, initially MSGMNB. ok is false if the limit is
// unknown, or if it is 0, which closes a queue on purpose. The kernel allows as many
// messages as bytes, so empty messages fill a queue too.
func ownOfQueue(q *sysv.QueueInfo) (own Limit, ok bool) {
	return Limit{Value: q.QBytes, Use: max(q.CBytes, q.QNum)}, q.QBytes > 0 && q.QBytes != sysvipc.UnknownQBytes
}

// Count sets Use to what these objects use.
func (l *Limit) Count(objects []inventory.Object) {
	if !l.Counted {
		return
	}
	l.Use = 0
	if l.Preset > 0 {
		l.Value, l.Preset = l.Preset, 0
	}
	users := make(map[uint32]uint64)
	for i := range objects {
		o := &objects[i]
		switch own, ok := l.own(o); {
		case ok:
			l.take(own)
		case l.Name == rlimitMsgQueue: // each user has this limit
			users[o.Ownership().UID] += l.Amount(o)
			l.Use = max(l.Use, users[o.Ownership().UID])
		default:
			l.Use += l.Amount(o)
		}
	}
}

// fullest returns the object with the fullest queue, if l limits each queue.
func (l Limit) fullest(objects []inventory.Object) (one []inventory.Object, ok bool) {
	share := -1.0
	for i := range objects {
		if own, of := l.own(&objects[i]); of && own.Share() > share {
			share, one = own.Share(), objects[i:i+1]
		}
	}
	return one, one != nil
}

// A Holder is a user or a program and its share of a limit's use.
type Holder struct {
	Name     string
	Amount   uint64
	Orphaned uint64 // part of Amount
}

// A Holding is a limit with the users and programs that account for its use.
type Holding struct {
	Limit
	Owners   []Holder // largest first
	Programs []Holder // largest first; "?" is unknown
	Orphaned uint64
	Removed  []Removed // largest first
}

// A Removed is an object that is unlinked or marked for removal, and exists until its
// last user ends.
type Removed struct {
	Name      string
	Amount    uint64
	Known     bool // whether Amount is known
	Processes []*inventory.Process
}

// NewHolding adds up what the objects use. They must have been collected with
// inventory.WantVerdict and inventory.WantProgram.
func NewHolding(l Limit, objects []inventory.Object, names *account.Directory) Holding {
	if one, ok := l.fullest(objects); ok {
		l.Count(one)
		objects = one
	}
	h := Holding{Limit: l}
	owners, programs := make(tally), make(tally)
	for i := range objects {
		o := &objects[i]
		amount := l.Amount(o)
		if amount == 0 {
			continue
		}
		orphaned := uint64(0)
		if o.Use.Verdict == inventory.Orphan {
			orphaned = amount
		}
		h.Orphaned += orphaned
		owners.add(names.UserOrID(o.Ownership().UID), amount, orphaned)
		programs.add(programName(o.Use), amount, orphaned)
	}
	h.Owners, h.Programs = owners.sorted(), programs.sorted()
	return h
}

func programName(use *inventory.Use) string {
	if use.Program == nil {
		return "?"
	}
	return use.Program.Name
}

// AddRemoved adds the objects that exist only because processes still use them.
func (h *Holding) AddRemoved(objects []inventory.Object, deleted []inventory.Deleted) {
	for i := range objects {
		o := &objects[i]
		if o.Kind != ref.Shm || !o.Segment.Dest || h.Amount(o) == 0 {
			continue
		}
		r := Removed{Name: o.Ref().String(), Amount: h.Amount(o), Known: true}
		for _, a := range o.Use.Attached {
			r.Processes = append(r.Processes, a.Process)
		}
		h.Removed = append(h.Removed, r)
	}
	for _, d := range deleted {
		r := Removed{Name: d.Name, Amount: d.Bytes(), Known: d.File != nil, Processes: d.Holders}
		if h.Name == devShmFiles {
			r.Amount, r.Known = 1, true
		}
		h.Removed = append(h.Removed, r)
	}
	slices.SortStableFunc(h.Removed, func(a, b Removed) int { return cmp.Compare(b.Amount, a.Amount) })
}

// Found returns how much of the use is accounted for.
func (h *Holding) Found() (n uint64) {
	for _, owner := range h.Owners {
		n += owner.Amount
	}
	for _, r := range h.Removed {
		n += r.Amount
	}
	return n
}

type tally map[string]*Holder

func (t tally) add(name string, amount, orphaned uint64) {
	h := t[name]
	if h == nil {
		h = &Holder{Name: name}
		t[name] = h
	}
	h.Amount += amount
	h.Orphaned += orphaned
}

func (t tally) sorted() []Holder {
	list := make([]Holder, 0, len(t))
	for _, h := range t {
		list = append(list, *h)
	}
	slices.SortFunc(list, func(a, b Holder) int {
		return cmp.Or(cmp.Compare(b.Amount, a.Amount), cmp.Compare(a.Name, b.Name))
	})
	return list
}
