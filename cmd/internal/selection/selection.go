package selection

import (
	"fmt"
	"iter"
	"slices"

	"github.com/expr-lang/expr/vm"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// A Condition is a parsed and checked expression.
type Condition struct {
	text     string
	fields   fields.List // the fields that it mentions
	named    []string    // words that it compares kind with
	kinds    kindSet     // the kinds that can satisfy it
	kindOnly bool        // all objects of kinds satisfy it
	certain  *vm.Program // reports whether an object certainly satisfies it
	possible *vm.Program // reports whether an object may satisfy it
}

// String returns the expression as it was written.
func (c *Condition) String() string { return c.text }

// A Selection selects the objects that satisfy all of its conditions.
type Selection []*Condition

// Want returns what must be collected to decide.
func (s Selection) Want() (w inventory.Want) {
	for _, c := range s {
		w |= c.fields.Want()
	}
	return w
}

// Columns returns the names of listing columns that explain the selection: the columns it
// mentions, and the verdict with its reasons if a condition depends on it.
func (s Selection) Columns() (names []string) {
	columns := fields.All()
	add := func(name string) {
		if index(columns, name) >= 0 && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, c := range s {
		for _, f := range c.fields {
			add(f.Name)
		}
	}
	if s.Want()&inventory.WantVerdict != 0 {
		add("verdict")
		add("reasons")
	}
	return names
}

// Mentions reports whether a condition mentions one of the fields.
func (s Selection) Mentions(names ...string) bool {
	return slices.ContainsFunc(s, func(c *Condition) bool {
		return slices.ContainsFunc(names, func(name string) bool { return index(c.fields, name) >= 0 })
	})
}

// MentionsOnly reports whether no condition mentions a field other than the named ones.
func (s Selection) MentionsOnly(names ...string) bool {
	return !slices.ContainsFunc(s, func(c *Condition) bool {
		return slices.ContainsFunc(c.fields, func(f fields.Column) bool { return !slices.Contains(names, f.Name) })
	})
}

// Kinds returns the kinds whose objects can satisfy all conditions. Other kinds need
// not be collected.
func (s Selection) Kinds() (kinds []ref.Kind) {
	set := allKinds
	for _, c := range s {
		set &= c.kinds
	}
	for _, k := range ref.Kinds() {
		if set.has(k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// Names reports whether a condition names the kind, and objects of that kind can satisfy
// all conditions.
func (s Selection) Names(kind ref.Kind) bool {
	return slices.Contains(s.Kinds(), kind) &&
		slices.ContainsFunc(s, func(c *Condition) bool { return slices.Contains(c.named, kind.String()) })
}

// AsksForPOSIX reports whether a condition mentions kind, or a field that only POSIX
// objects have.
func (s Selection) AsksForPOSIX() bool {
	return slices.ContainsFunc(s, func(c *Condition) bool {
		return slices.ContainsFunc(c.fields, func(f fields.Column) bool {
			return f.Name == "kind" || !slices.ContainsFunc(ref.SystemV(), f.Has)
		})
	})
}

// A Choice is the result of a Selection.
type Choice struct {
	Selected []inventory.Object // certainly satisfy all conditions
	// Undecided may satisfy all conditions, but depend on an unknown field.
	Undecided []inventory.Object
	// Failed is the number of objects for which an expression failed, for instance
	// because it divides by zero; they are in neither list. First is the first such
	// error.
	Failed int
	First  error
}

// Err returns an error for the failed objects, or nil.
func (c *Choice) Err() error {
	switch c.Failed {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("1 object is left out because the expression has no value for it: %w", c.First)
	default:
		return fmt.Errorf("%d objects are left out because the expression has no value for them; the first is %w", c.Failed, c.First)
	}
}

// Choose decides about each object of inv, which must have been collected with Want.
func (s Selection) Choose(inv *inventory.Inventory, names *account.Directory) (c Choice) {
	if len(s) == 0 {
		c.Selected = inv.Objects
		return c
	}
	for object, result := range s.each(inv, names) {
		switch answer, err := result.answer, result.err; {
		case err != nil:
			if c.Failed++; c.First == nil {
				c.First = fmt.Errorf("%v: %w", object.Ref(), err)
			}
		case answer == yes:
			c.Selected = append(c.Selected, *object)
		case answer == maybe:
			c.Undecided = append(c.Undecided, *object)
		}
	}
	return c
}

// Possible returns the objects of inv that may satisfy all conditions. Besides the objects
// that Choose selects, these are objects with an unknown field in a condition, and objects
// for which an expression fails.
func (s Selection) Possible(inv *inventory.Inventory, names *account.Directory) (list []inventory.Object) {
	for object, result := range s.each(inv, names) {
		if result.err != nil || result.answer != no {
			list = append(list, *object)
		}
	}
	return list
}

// A result is what a selection says about an object.
type result struct {
	answer truth
	err    error
}

func (s Selection) each(inv *inventory.Inventory, names *account.Directory) iter.Seq2[*inventory.Object, result] {
	return func(yield func(*inventory.Object, result) bool) {
		m := machine{env: make(map[string]any)}
		m.vm.MemoryBudget = memoryBudget
		for i := range inv.Objects {
			o := &inv.Objects[i]
			answer, err := m.ask(s, &fields.Row{Object: o, Inventory: inv, Names: names})
			if !yield(o, result{answer, err}) {
				return
			}
		}
	}
}

// memoryBudget is the maximum number of elements in the lists that an expression makes.
const memoryBudget = 100_000

// A truth is certainly false, unknown, or certainly true.
type truth int

const (
	no truth = iota
	maybe
	yes
)

// A machine runs expressions.
type machine struct {
	vm  vm.VM
	env map[string]any
}

// ask returns whether a row satisfies all conditions. A condition's failure does not
// matter if another one is certainly not satisfied.
func (m *machine) ask(s Selection, row *fields.Row) (answer truth, failure error) {
	answer = yes
	for _, c := range s {
		if c.kindOnly {
			if !c.kinds.has(row.Kind) {
				return no, nil
			}
			continue
		}
		m.load(c, row)
		met, err := m.run(c, c.certain)
		if err == nil && !met {
			answer = maybe
			if met, err = m.run(c, c.possible); err == nil && !met {
				return no, nil
			}
		}
		if failure == nil {
			failure = err
		}
	}
	return answer, failure
}

// load sets the values of a row's known fields.
func (m *machine) load(c *Condition, row *fields.Row) {
	for i := range c.fields {
		f := &c.fields[i]
		v := f.Value(row)
		if n, ok := v.(int64); ok {
			v = number(n)
		}
		m.env[f.Name], m.env[known(f.Name)], m.env[has(f.Name)] = v, v != nil, f.Has(row.Kind)
	}
}

func (m *machine) run(c *Condition, program *vm.Program) (bool, error) {
	result, err := m.vm.Run(program, m.env)
	if err != nil {
		return false, newError(c.text, err)
	}
	return result.(bool), nil // the type was checked
}
