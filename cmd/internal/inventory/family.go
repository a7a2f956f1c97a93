package inventory

import (
	"cmp"
	"slices"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// together is the time within which a program creates its objects.
const together = 2 * time.Second

// keepFamilies takes the verdict Orphan from objects that belong together with an object
// that is in use or idle: a living program needs everything that it created.
//
// Objects of one creator belong together if the same process, which has ended, created or
// used them. POSIX objects of one owner belong together if their names contain the same
// number. Objects created within two seconds of such a needed object also belong to it if
// they have adjacent keys, or adjacent identifiers where the kernel does not record the
// creator. The two seconds limit all such neighbours, however many lie in between:
// otherwise everything that a user creates in one go would be one family.
func keepFamilies(objects []Object) {
	f := family{objects: objects, kin: make([]int, len(objects)), needed: make([]*Object, len(objects))}
	orphans, needed := 0, 0
	for i := range objects {
		f.kin[i] = i
		switch objects[i].Use.Verdict {
		case Orphan:
			orphans++
		case InUse, Idle:
			needed++
			f.needed[i] = &objects[i]
		}
	}
	if orphans == 0 || needed == 0 {
		return
	}
	f.joinActors()
	f.joinNames()
	f.spread()
	f.spreadToNeighbours()
	f.spread()
	for i := range objects {
		if u := objects[i].Use; u.Verdict == Orphan && f.needed[i] != nil {
			u.Verdict = Unknown
			u.add(FamilyAlive, "it belongs together with %v, which is %v", f.needed[i].Ref(), f.needed[i].Use.Verdict)
		}
	}
}

// A family joins objects by their index.
type family struct {
	objects []Object
	kin     []int     // by object: another object that it is joined with, or itself if it is the first
	needed  []*Object // by object: the object in use or idle that keeps it
}

func (f *family) first(i int) int {
	for f.kin[i] != i {
		f.kin[i] = f.kin[f.kin[i]]
		i = f.kin[i]
	}
	return i
}

func (f *family) join(i, j int) { f.kin[f.first(i)] = f.first(j) }

// joinActors joins objects that the same process created or used. Processes that were only
// last users of segments do not count: they may be strangers, such as an X server or a
// program that inspected them.
func (f *family) joinActors() {
	type actor struct {
		creator uint32
		pid     int
	}
	first := make(map[actor]int)
	for _, strangers := range []bool{false, true} {
		for i := range f.objects {
			o := &f.objects[i]
			for _, a := range o.Use.Actors {
				if a.State != Gone || (a.Role == User) != strangers {
					continue
				}
				who := actor{o.Perm().CUID, a.PID}
				if j, ok := first[who]; ok {
					f.join(i, j)
				} else if !strangers {
					first[who] = i
				}
			}
		}
	}
}

// joinNames joins POSIX objects.
func (f *family) joinNames() {
	type number struct{ owner, n uint32 }
	first := make(map[number]int)
	for i := range f.objects {
		file := f.objects[i].File()
		if file == nil {
			continue
		}
		for _, n := range numbersIn(file.Name) {
			const least = 100 // smaller numbers count objects
			if n < least || uint32(n) == file.UID {
				continue // every object of the user may have it
			}
			key := number{file.UID, uint32(n)}
			if j, ok := first[key]; ok {
				f.join(i, j)
			} else {
				first[key] = i
			}
		}
	}
}

// spread lets each needed object keep everything that it is joined with.
func (f *family) spread() {
	keeper := make(map[int]*Object)
	for i, by := range f.needed {
		if by != nil {
			keeper[f.first(i)] = by
		}
	}
	for i := range f.needed {
		if f.needed[i] == nil {
			f.needed[i] = keeper[f.first(i)]
		}
	}
}

// spreadToNeighbours lets each needed object keep what was created next to it.
func (f *family) spreadToNeighbours() {
	neighbours := make([][]*Object, 2)
	for side, of := range []func(*Object) (slot, bool){keySlot, indexSlot} {
		neighbours[side] = f.neighbours(of)
	}
	for i := range f.needed {
		f.needed[i] = cmp.Or(f.needed[i], neighbours[0][i], neighbours[1][i])
	}
}

// A slot is the position of an object among those of its creator.
type slot struct {
	creator uint32
	kind    ref.Kind // -1 means any kind
	at      uint32
}

func keySlot(o *Object) (slot, bool) {
	return slot{o.Perm().CUID, -1, uint32(o.Perm().Key)}, o.Perm().Key != sysv.Private
}

// indexSlot uses the low bits of an identifier, which are the index in the kernel's table.
func indexSlot(o *Object) (slot, bool) {
	const indexBits = 15
	return slot{o.Perm().CUID, o.Kind, uint32(o.ID()) & (1<<indexBits - 1)}, o.Kind != ref.Shm
}

// neighbours returns, for each object, a needed one next to it.
func (f *family) neighbours(of func(*Object) (slot, bool)) []*Object {
	type resident struct {
		slot
		i int
	}
	var all []resident
	for i := range f.objects {
		if o := &f.objects[i]; !o.Kind.POSIX() {
			if p, ok := of(o); ok {
				all = append(all, resident{p, i})
			}
		}
	}
	slices.SortFunc(all, func(a, b resident) int {
		return cmp.Or(cmp.Compare(a.creator, b.creator), cmp.Compare(a.kind, b.kind), cmp.Compare(a.at, b.at))
	})
	beside := make([]*Object, len(f.objects))
	for from := 0; from < len(all); {
		to := from + 1
		for to < len(all) && all[to].creator == all[from].creator && all[to].kind == all[from].kind && all[to].at-all[to-1].at <= 1 {
			to++
		}
		var run []int
		for _, r := range all[from:to] {
			run = append(run, r.i)
		}
		f.keepRun(run, beside)
		from = to
	}
	return beside
}

// keepRun finds, for each object of a run without a gap, a needed object that was created
// within two seconds.
func (f *family) keepRun(run []int, beside []*Object) {
	slices.SortFunc(run, func(a, b int) int { return f.objects[a].Changed().Compare(f.objects[b].Changed()) })
	for range 2 { // forwards in time and backwards
		last := -1
		for _, i := range run {
			if f.needed[i] != nil {
				last = i
				continue
			}
			if last < 0 || beside[i] != nil {
				continue
			}
			if f.objects[i].Changed().Sub(f.objects[last].Changed()).Abs() <= together {
				beside[i] = f.needed[last]
			}
		}
		slices.Reverse(run)
	}
}
