package selection

import (
	"fmt"
	"slices"

	"github.com/expr-lang/expr/vm"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
)

// A Condition is an expression that was read and checked.
type Condition struct {
	text    string
	fields  fields.List // that it mentions
	program *vm.Program
}

// String returns the expression as it was written.
func (c *Condition) String() string { return c.text }

// A Selection selects the objects that meet all of its conditions.
type Selection []*Condition

// Want is what has to be looked up to decide.
func (s Selection) Want() (w inventory.Want) {
	for _, c := range s {
		w |= c.fields.Want()
	}
	return w
}

// Columns names the columns of a listing that show what s goes by: those that it
// mentions, and the verdict with its reasons if a condition rests on that.
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

// Mentions tells whether a condition asks for one of the fields.
func (s Selection) Mentions(names ...string) bool {
	return slices.ContainsFunc(s, func(c *Condition) bool {
		return slices.ContainsFunc(names, func(name string) bool { return index(c.fields, name) >= 0 })
	})
}

// Filter returns the objects of inv that certainly meet all conditions. What s wants
// must have been looked up. An error is one of an expression: it divides by zero, for
// instance.
func (s Selection) Filter(inv *inventory.Inventory, names *account.Directory) ([]inventory.Object, error) {
	if len(s) == 0 {
		return inv.Objects, nil
	}
	var selected []inventory.Object
	var machine vm.VM
	env := make(map[string]any)
	for i := range inv.Objects {
		row := fields.Row{Object: &inv.Objects[i], Inventory: inv, Names: names}
		ok, err := s.holds(&machine, env, &row)
		if err != nil {
			return nil, err
		}
		if ok {
			selected = append(selected, inv.Objects[i])
		}
	}
	return selected, nil
}

func (s Selection) holds(machine *vm.VM, env map[string]any, row *fields.Row) (bool, error) {
	for _, c := range s {
		for i := range c.fields {
			f := &c.fields[i]
			v := f.Value(row)
			if n, ok := v.(int64); ok {
				v = number(n)
			}
			env[f.Name], env[known(f.Name)] = v, v != nil
		}
		result, err := machine.Run(c.program, env)
		if err != nil {
			return false, fmt.Errorf("%v: %w", row.Ref(), newError(c.text, err))
		}
		if !result.(bool) { // the expression was checked to be one
			return false, nil
		}
	}
	return true, nil
}
