package watch

import (
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
)

// A Notice is what the kernel said about a name in /dev/shm or /dev/mqueue.
type Notice struct {
	Time    time.Time // when the notice was read
	Ref     ref.Object
	Removed bool // the name is gone; otherwise it is new
	// Object is the file soon after it was made; nil if it was gone by then.
	Object *inventory.Object
	other  bool // it is no object but a link, a FIFO or the like
}

// A birth is a file that the kernel announced and that no look has found yet.
type birth struct {
	at     time.Time
	object *inventory.Object
	number int // of the announcement
}

// files is what notices say about files since the last look. A notice may be older or newer
// than the listing: files are listed one after the other, while others come and go.
type files struct {
	*comparison
	removed map[ref.Object]bool // objects of the last look that were reported as removed
	ended   map[ref.Object]bool // names of files that are gone; births may have newer ones
}

// readNotices reads notices in their order.
func readNotices(c *comparison, notices []Notice) *files {
	f := &files{comparison: c, removed: make(map[ref.Object]bool), ended: make(map[ref.Object]bool)}
	for i := range notices {
		if n := &notices[i]; n.Removed {
			f.end(n)
		} else {
			f.begin(n)
		}
	}
	return f
}

func (f *files) begin(n *Notice) {
	if n.other || f.objects[n.Ref] != nil && !f.removed[n.Ref] {
		return // it was listed before this was read, or replaces another file by rename(2)
	}
	f.created++
	f.births[n.Ref] = &birth{at: n.Time, object: n.Object, number: f.created}
}

func (f *files) end(n *Notice) {
	old := f.objects[n.Ref]
	if old != nil && !f.removed[n.Ref] && f.isThere(old) {
		return // the notice is about an older file of that name
	}
	f.ended[n.Ref] = true
	event := Event{What: Removed, Time: n.Time, After: f.listed[n.Ref.Kind], Ref: n.Ref, Inventory: f.last, Notified: true}
	if b := f.births[n.Ref]; b != nil {
		delete(f.births, n.Ref)
		if isTemporary(n.Ref) && f.created > b.number {
			return
		}
		made := event
		made.What, made.Time, made.Object, made.Inventory = Made, b.at, b.object, f.now
		f.report(made)
		event.Object, event.Inventory, event.After = b.object, f.now, b.at
		f.report(event)
		return
	}
	if old != nil && !f.removed[n.Ref] {
		f.removed[n.Ref] = true
		event.Object = old
		f.report(event)
	}
}

// gone reports whether an object that was listed is one that was removed afterwards.
func (f *files) gone(o *inventory.Object) bool {
	name := o.Ref()
	return f.ended[name] && (f.births[name] == nil || !f.isThere(o))
}

// forget forgets births that a look did not find which began later: their names are no
// objects, or the notice of their end was lost.
func (f *files) forget() {
	for name, b := range f.births {
		if b.at.Before(f.now.Taken) {
			delete(f.births, name)
		}
	}
}

// isTemporary reports whether a name looks like the one under which sem_open(3) prepares a
// semaphore before it links it to its own name: sem.XXXXXX in the GNU C library, tmp-N in
// musl.
func isTemporary(o ref.Object) bool {
	const random = 6
	name := strings.TrimPrefix(o.Name, "/")
	digits, ok := strings.CutPrefix(name, "tmp-")
	switch o.Kind {
	case ref.PSem:
		return len(name) == random
	case ref.PShm:
		return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
	default:
		return false
	}
}

// Named returns a POSIX object of which only kind and name are known. The other fields mean
// nothing.
func Named(name ref.Object) inventory.Object {
	file := posix.FileInfo{Name: name.Name}
	o := inventory.Object{Kind: name.Kind}
	switch name.Kind {
	case ref.PSem:
		o.PSem = &posix.SemaphoreInfo{FileInfo: file}
	case ref.PMsg:
		o.PMsg = &posix.QueueInfo{FileInfo: file}
	default:
		o.PShm = &file
	}
	return o
}
