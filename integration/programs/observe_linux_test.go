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

// A program is a program that makes IPC objects.
type program struct {
	name     string // in the table
	packages string // Debian packages that it needs
	light    bool   // .ci/run starts it
	// user is the user that the program runs as. Programs with the same user take
	// turns, since gipcs rm --owner-gone checks whether any process of the user is
	// left. "" gives the program a user of its own, for packages that define none.
	user string

	// start starts it in the room, where it may have run and been killed before, and
	// returns once it serves.
	start func(r *room) service
}

// id returns the name for the command line: php-fpm-ondemand for "PHP-FPM, ondemand".
func (p program) id() string {
	word := func(c rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-", c) }
	return strings.Join(strings.FieldsFunc(strings.ToLower(p.name), word), "-")
}

// A service is a running program.
type service struct {
	// request asks the program for something that needs its objects, and checks the
	// answer. It is called in a loop, never concurrently.
	request func() error
	// rest waits until the program's idle workers have ended by themselves. nil means that
	// the program is at rest between requests.
	rest func()
	// recycle kills workers; nil means that there are none.
	recycle func()
}

// The states in which a live program is observed.
const (
	busy = iota
	resting
	recycled
	states
)

// A result is what was observed of a program.
type result struct {
	objects  counts           // while alive, the maximum of each kind
	verdicts [states][]string // of objects while alive; nil for a state that the program does not have
	orphans  [states][]string // objects called orphans while it was alive
	unused   counts           // selected by --unused while it was alive, the maximum of each kind
	left     []object         // by SIGKILL
	found    [selections]int  // how many of left rm removed, by selection
	missed   []object
	// unwanted is how many of the objects left by SIGKILL the program does not use
	// after it was started again, and cleaned how many of these rm found.
	unwanted, cleaned int
}

// The selections tried on what a killed program left, in this order.
const (
	byOrphans = iota
	byOwnerGone
	selections
)

var flags = [selections]string{"--orphans", "--owner-gone"}

// allFound returns how many objects were found.
func (r *result) allFound() int { return len(r.left) - len(r.missed) }

// counts is the number of objects of each kind.
type counts map[string]int

// atLeast raises the counts to the numbers of objects, where these are larger.
func (c counts) atLeast(objects []object) {
	for kind, n := range count(objects) {
		c[kind] = max(c[kind], n)
	}
}

func count(objects []object) counts {
	c := counts{}
	for _, x := range objects {
		c[x.Kind]++
	}
	return c
}

// String formats the counts, as in "2 sem, 1 shm".
func (c counts) String() string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, fmt.Sprintf("%d %s", c[kind], kind))
	}
	return strings.Join(parts, ", ")
}

// An object is a line of gipcs ls.
type object struct {
	Kind    string
	ID      int
	Name    string
	Owner   string
	Status  []string
	Verdict string
	Codes   []string
	Reasons []string
}

func (o object) String() string {
	if o.Name != "" {
		return o.Kind + ":" + o.Name
	}
	return fmt.Sprintf("%s:%d", o.Kind, o.ID)
}

// watched is how long each state is observed. Some rules for verdicts depend on ages in
// seconds.
const watched = 2500 * time.Millisecond

// An observation is the work on one program.
type observation struct {
	*room
	gipcs   string
	others  []string // the bystander's objects
	service service
	result  result
}

// observe observes a program from its start to its restart after kill -9.
func observe(t *testing.T, p program, gipcs string) *result {
	r := newRoom(t, p.user)
	o := &observation{room: r, gipcs: gipcs, result: result{objects: counts{}, unused: counts{}}}
	for _, other := range o.startBystander() {
		o.others = append(o.others, other.String())
	}
	o.service = p.start(r)
	r.serves(o.service.request)

	stop := o.ask()
	o.state(busy)
	stop()
	if o.service.rest != nil {
		o.service.rest()
	}
	o.state(resting)
	if o.service.recycle != nil {
		o.service.recycle()
		o.state(recycled)
	}
	o.besideTheDead(p)
	o.afterDeath()
	o.service = p.start(r)
	r.serves(o.service.request)
	t.Log(o.result.row(p.name))
	return &o.result
}

// ask makes requests without a pause until stop is called.
func (o *observation) ask() (stop func()) {
	end, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-end:
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
	return func() {
		o.t.Helper()
		close(end)
		if err := <-failed; err != nil {
			o.t.Fatalf("it does not serve: %v", err)
		}
	}
}

// state observes the program for some time, removes what gipcs says nobody needs, and
// checks that the program still serves.
func (o *observation) state(which int) {
	o.t.Helper()
	for began := time.Now(); time.Since(began) < watched; {
		o.note(which, o.look())
		o.noteUnused()
	}
	for _, selection := range flags {
		if said := o.remove(selection); said != "" {
			o.t.Errorf("rm %s beside the live program took:\n%s", selection, said)
		}
	}
	if which == busy {
		return // requests are being made
	}
	if err := o.service.request(); err != nil {
		o.t.Fatalf("after rm it does not serve: %v", err)
	}
}

// anyKind makes a selection include POSIX objects.
const anyKind = "sysv,posix"

// remove removes what a selection selects, and returns the list.
func (o *observation) remove(selection string) string {
	o.t.Helper()
	return strings.TrimSpace(o.must("root", o.gipcs, "rm", selection, "--kind", anyKind, "--yes"))
}

// look returns the program's objects, as listed by gipcs.
func (o *observation) look(options ...string) []object {
	o.t.Helper()
	return slices.DeleteFunc(o.all(options...), func(x object) bool { return slices.Contains(o.others, x.String()) })
}

// all returns all objects in the room.
func (o *observation) all(options ...string) (objects []object) {
	o.t.Helper()
	out := o.must("root", append([]string{o.gipcs, "ls", "--json", "-o", "kind,id,name,owner,status,verdict,codes,reasons"}, options...)...)
	if err := json.Unmarshal([]byte(out), &objects); err != nil {
		o.t.Fatalf("gipcs ls: %v: %s", err, out)
	}
	return objects
}

// note adds an observation of a live program to the result.
func (o *observation) note(which int, objects []object) {
	o.result.objects.atLeast(objects)
	for _, x := range objects {
		if !slices.Contains(o.result.verdicts[which], x.Verdict) {
			o.result.verdicts[which] = append(o.result.verdicts[which], x.Verdict)
		}
		seen := &o.result.orphans[which]
		if name := x.String(); x.Verdict == "orphan" && !slices.Contains(*seen, name) {
			*seen = append(*seen, name)
			o.t.Errorf("alive, but %s is an orphan: %q", x, x.Reasons)
		}
	}
}

// noteUnused records what --unused selects of a live program. That may include an
// object that the program will use again, if none of its processes is known as its last
// user, but never one that a process uses or may hold.
func (o *observation) noteUnused() {
	o.t.Helper()
	chosen := o.look("--unused", "--kind", anyKind)
	o.result.unused.atLeast(chosen)
	for _, x := range chosen {
		if used(x) {
			o.t.Errorf("%s is unused, but %s: %q", x, x.Verdict, x.Reasons)
		}
	}
}

// kill kills the program and returns the objects that it leaves.
func (o *observation) kill() (left []object) {
	o.t.Helper()
	o.killAll()
	o.until("what outlives the program, such as an X server, has let go of its objects", func() bool {
		left = o.look()
		return !slices.ContainsFunc(left, used)
	})
	return left
}

// used reports whether a process certainly needs an object.
func used(x object) bool { return x.Verdict == "in use" || x.Verdict == "idle" }

// besideTheDead kills the program, starts it again, and removes what nobody needs then.
func (o *observation) besideTheDead(p program) {
	o.t.Helper()
	var left []string
	for _, x := range o.kill() {
		left = append(left, x.String())
	}
	time.Sleep(4 * time.Second) // the kernel records times of use and of boot in seconds
	o.service = p.start(o.room)
	o.serves(o.service.request)
	unwanted := func() []object {
		return slices.DeleteFunc(o.look(), func(x object) bool { return !slices.Contains(left, x.String()) || used(x) })
	}
	o.result.unwanted = len(unwanted())
	for _, selection := range flags {
		o.remove(selection)
	}
	if err := o.service.request(); err != nil {
		o.t.Fatalf("after rm beside what it left it does not serve: %v", err)
	}
	rest := unwanted()
	o.result.cleaned = o.result.unwanted - len(rest)
	for _, x := range rest {
		o.t.Logf("missed beside the restarted program %s: %s: %q", x, x.Verdict, x.Reasons)
	}
}

// afterDeath kills the program, inspects what it leaves, and removes it.
func (o *observation) afterDeath() {
	o.t.Helper()
	o.result.left = o.kill()
	o.result.missed = o.result.left
	for i, selection := range flags {
		o.remove(selection)
		rest := o.look()
		o.result.found[i] = len(o.result.missed) - len(rest)
		o.result.missed = rest
	}
	for _, x := range o.result.missed {
		o.t.Logf("missed %s: %s: %q", x, x.Verdict, x.Reasons)
	}
	if missing := o.missingOthers(); len(missing) > 0 {
		o.t.Errorf("objects of another program were removed: %q", missing)
	}
}

// judge fails the test for unacceptable results.
func judge(t *testing.T, results []*result) {
	left, found := 0, 0
	for _, r := range results {
		if r != nil {
			left += len(r.left)
			found += r.allFound()
		}
	}
	if left > 0 && found*100 < left*90 {
		t.Errorf("%d of %d objects left by killed programs were found, less than 90 %%", found, left)
	}
}
