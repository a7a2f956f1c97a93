package programs_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// A program is one that makes objects.
type program struct {
	name     string // in the table
	packages string // Debian packages that it needs
	light    bool   // .ci/run starts it

	// start starts it in the room, where it may have run and been killed before, and
	// returns when it serves.
	start func(r *room) service
}

// id returns the name for the command line: of "PHP-FPM, ondemand" php-fpm-ondemand.
func (p program) id() string {
	word := func(c rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-", c) }
	return strings.Join(strings.FieldsFunc(strings.ToLower(p.name), word), "-")
}

// A service is a program that runs.
type service struct {
	// request asks the program for something that needs its objects, and checks what
	// comes. It is called in a loop, never twice at once.
	request func() error
	// rest lets the program come to rest: workers end by themselves, as they do in
	// this mode. Nil: it rests when nobody asks for anything.
	rest func()
	// recycle kills workers. Nil: it has none.
	recycle func()
}

// The states in which a live program is looked at.
const (
	busy = iota
	resting
	recycled
	states
)

// A result is what was seen of a program.
type result struct {
	objects  counts           // alive, the most of each kind
	verdicts [states][]string // of objects alive; nil: it has no such state
	orphans  [states][]string // objects that were called orphans though it lived
	left     []object         // by SIGKILL
	found    int              // of these by rm --orphans
	missed   []object
}

// counts is how many objects there are of each kind.
type counts map[string]int

// An object is a line of gipcs ls.
type object struct {
	Kind    string
	ID      int
	Name    string
	Owner   string
	Status  []string
	Verdict string
	Reasons []string
}

func (o object) String() string {
	if o.Name != "" {
		return o.Kind + ":" + o.Name
	}
	return fmt.Sprintf("%s:%d", o.Kind, o.ID)
}

// watched is how long a state is looked at. Some of the rules for verdicts know seconds.
const watched = 2500 * time.Millisecond

// An observation is the work on one program.
type observation struct {
	*room
	gipcs   string
	others  []string // objects of the bystander
	service service
	result  result
}

// observe looks at a program from its start to its start after kill -9.
func observe(t *testing.T, p program, gipcs string) *result {
	r := newRoom(t)
	o := &observation{room: r, gipcs: gipcs, result: result{objects: counts{}}}
	for _, other := range o.startBystander() {
		o.others = append(o.others, other.String())
	}
	o.service = p.start(r)
	r.serves(o.service.request)

	o.state(busy, o.whileAsked)
	if o.service.rest != nil {
		o.service.rest()
	}
	o.state(resting, o.watch)
	if o.service.recycle != nil {
		o.service.recycle()
		o.state(recycled, o.watch)
	}
	o.afterDeath()
	o.service = p.start(r)
	r.serves(o.service.request)
	return &o.result
}

// state looks at the program by watch, removes orphans, and sees whether the program
// bears that.
func (o *observation) state(which int, watch func(which int)) {
	o.t.Helper()
	watch(which)
	if said := o.must("root", o.gipcs, "rm", "--orphans", "--where", anyKind, "--yes"); strings.TrimSpace(said) != "" {
		o.t.Logf("rm --orphans beside the live program:\n%s", said)
	}
	if err := o.service.request(); err != nil {
		o.t.Fatalf("after rm --orphans it does not serve: %v", err)
	}
}

// anyKind makes a selection choose POSIX objects too.
const anyKind = `kind in ["shm", "sem", "msg", "pshm", "psem", "pmsg"]`

// watch looks at the program for some time.
func (o *observation) watch(which int) {
	o.t.Helper()
	for began := time.Now(); time.Since(began) < watched; {
		o.note(which, o.look())
	}
}

// whileAsked is watch while requests are made without a pause.
func (o *observation) whileAsked(which int) {
	o.t.Helper()
	stop, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				failed <- nil
				return
			default:
				if err := o.service.request(); err != nil {
					failed <- err
					return
				}
			}
		}
	}()
	o.watch(which)
	close(stop)
	if err := <-failed; err != nil {
		o.t.Fatalf("it does not serve: %v", err)
	}
}

// look returns the objects of the program, as gipcs lists them.
func (o *observation) look() []object {
	o.t.Helper()
	return slices.DeleteFunc(o.all(), func(x object) bool { return slices.Contains(o.others, x.String()) })
}

// all returns all objects in the room.
func (o *observation) all() (objects []object) {
	o.t.Helper()
	out := o.must("root", o.gipcs, "ls", "--json", "-o", "kind,id,name,owner,status,verdict,reasons")
	if err := json.Unmarshal([]byte(out), &objects); err != nil {
		o.t.Fatalf("gipcs ls: %v: %s", err, out)
	}
	return objects
}

// note adds what was seen of a live program to the result.
func (o *observation) note(which int, objects []object) {
	now := counts{}
	for _, x := range objects {
		now[x.Kind]++
		if !slices.Contains(o.result.verdicts[which], x.Verdict) {
			o.result.verdicts[which] = append(o.result.verdicts[which], x.Verdict)
		}
		seen := &o.result.orphans[which]
		if name := x.String(); x.Verdict == "orphan" && !slices.Contains(*seen, name) {
			*seen = append(*seen, name)
			o.t.Errorf("alive, but %s is an orphan: %q", x, x.Reasons)
		}
	}
	for kind, n := range now {
		o.result.objects[kind] = max(o.result.objects[kind], n)
	}
}

// afterDeath kills the program, looks at what it leaves, and removes that.
func (o *observation) afterDeath() {
	o.t.Helper()
	o.killAll()
	o.result.left = o.look()
	o.must("root", o.gipcs, "rm", "--orphans", "--where", anyKind, "--yes")
	rest := o.look()
	o.result.found = len(o.result.left) - len(rest)
	o.result.missed = rest
	for _, x := range rest {
		o.t.Logf("missed %s: %s: %q", x, x.Verdict, x.Reasons)
	}
	if missing := o.missingOthers(); len(missing) > 0 {
		o.t.Errorf("objects of another program were removed: %q", missing)
	}
}

// judge fails for what must not be.
func judge(t *testing.T, results []*result) {
	left, found := 0, 0
	for _, r := range results {
		if r == nil {
			continue
		}
		left += len(r.left)
		found += r.found
	}
	if left > 0 && found*100 < left*90 {
		t.Errorf("of %d objects that killed programs left %d were found, less than 90 %%", left, found)
	}
}

// String lists the counts, as "2 shm, 1 sem".
func (c counts) String() string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, fmt.Sprintf("%d %s", c[kind], kind))
	}
	return strings.Join(parts, ", ")
}
