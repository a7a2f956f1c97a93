package limits

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// Amount returns how much of the limit an object takes.
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
		return o.Queue.CBytes
	case devShmSize:
		return uint64(o.File().Memory)
	case "msg_max":
		return uint64(o.PMsg.CurMsgs)
	default:
		return 0
	}
}

// own returns the limit that a queue has of its own.
func (l Limit) own(o *inventory.Object) (own Limit, ok bool) {
	switch {
	case l.Name == "MSGMNB" && o.Kind == ref.Msg:
		return Limit{Value: o.Queue.QBytes, Use: o.Queue.CBytes}, true
	case l.Name == "msg_max" && o.Kind == ref.PMsg && o.PMsg.Known:
		return Limit{Value: uint64(o.PMsg.MaxMsgs), Use: uint64(o.PMsg.CurMsgs)}, true
	default:
		return Limit{}, false
	}
}

// Count puts what objects use in place of what all do.
func (l *Limit) Count(objects []inventory.Object) {
	if !l.Counted {
		return
	}
	l.Use = 0
	if l.Preset > 0 {
		l.Value, l.Preset = l.Preset, 0
	}
	for i := range objects {
		if own, ok := l.own(&objects[i]); ok {
			l.take(own)
		} else {
			l.Use += l.Amount(&objects[i])
		}
	}
}

// fullest returns the object of which l is, if it is that of the fullest queue.
func (l Limit) fullest(objects []inventory.Object) (one []inventory.Object, ok bool) {
	share := -1.0
	for i := range objects {
		if own, of := l.own(&objects[i]); of && own.Share() > share {
			share, one = own.Share(), objects[i:i+1]
		}
	}
	return one, one != nil
}

// A Holder is who takes how much of a limit.
type Holder struct {
	Name     string
	Amount   uint64
	Orphaned uint64 // of Amount
}

// A Holding is a limit and who holds what is in use of it.
type Holding struct {
	Limit
	Owners   []Holder // the largest first
	Programs []Holder // the same; "?" is what is not known
	Orphaned uint64
}

// NewHolding adds up what the objects take. They must have been collected with
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

// FreeCommand returns the command that removes what is orphaned, "" if nothing is. It
// spares what was made or used within an hour: what a program has just made in a
// process that ended, for another one to use, looks like an orphan until then.
func (h Holding) FreeCommand() string {
	if h.Orphaned == 0 {
		return ""
	}
	where, since := fmt.Sprintf("kind == %q", h.Kind.String()), "--idle"
	if h.Concerns(ref.PSem) {
		// Of their use there is no time.
		where, since = fmt.Sprintf("kind in [%q, %q]", ref.PShm.String(), ref.PSem.String()), "--older-than"
	}
	return fmt.Sprintf("gipcs rm --orphans %s 1h --where '%s' --yes", since, where)
}

// RaiseCommand returns the command that makes the limit twice what it is, or what is in
// use if that is more. That of a queue is made so for queues that are made afterwards.
// It is "" if there is no such command, or none is needed: more than a queue has is
// allowed already.
func (h Holding) RaiseCommand() (string, error) {
	full := max(h.Value, h.Use, 1)
	if h.Name == devShmSize || h.Name == devShmFiles {
		return fmt.Sprintf("mount -o remount,%s=%d /dev/shm", h.Name, 2*min(full, math.MaxInt64/2)), nil
	}
	if h.Value < h.Preset {
		return "", nil
	}
	double := min(full, 1<<30) * 2
	name, number, isPart := strings.Cut(strings.TrimSuffix(h.Sysctl, "]"), "[")
	switch {
	case h.Sysctl == "":
		return "", nil
	case !isPart:
		return fmt.Sprintf("sysctl -w %s=%d", name, double), nil
	}
	l, err := sysv.SemLimits()
	if err != nil {
		return "", err
	}
	numbers := []uint64{uint64(l.MaxPerSet), uint64(l.MaxSemaphores), uint64(l.MaxOps), uint64(l.MaxSets)}
	numbers[number[0]-'1'] = min(double, 1<<31-1)
	return fmt.Sprintf("sysctl -w %s='%d %d %d %d'", name, numbers[0], numbers[1], numbers[2], numbers[3]), nil
}
