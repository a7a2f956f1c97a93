package selection

import (
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// A logic rewrites expressions so that the machine, which knows only true and false,
// follows Kleene's logic of unknown values.
type logic struct {
	fields fields.List
	config *conf.Config
}

// compile type-checks the rewritten expression and compiles it.
func (l logic) compile(n ast.Node) (*vm.Program, error) {
	tree := &parser.Tree{Node: n}
	if _, err := checker.Check(tree, l.config); err != nil {
		return nil, err
	}
	return compiler.Compile(tree, l.config)
}

// certainly returns an expression that is true if n is certainly true (with want) or
// certainly false (without), and false if n is unknown.
func (l logic) certainly(n ast.Node, want bool) ast.Node {
	return rewrite(n, want, func(question ast.Node, want bool) ast.Node {
		guarded := not(question, want)
		for _, field := range l.inside(question) {
			guarded = binary(question, "&&", fact(question, known(field)), guarded)
		}
		return guarded
	})
}

// possibly returns an expression that is true if n may be true (with want) or may be
// false (without). Nothing is possible about a field that the object does not have.
func (l logic) possibly(n ast.Node, want bool) ast.Node {
	return rewrite(n, want, func(question ast.Node, want bool) ast.Node {
		guarded := not(question, want)
		for _, field := range l.inside(question) {
			guarded = binary(question, "||", not(fact(question, known(field)), false), guarded)
		}
		for _, field := range l.inside(question) {
			guarded = binary(question, "&&", fact(question, has(field)), guarded)
		}
		return guarded
	})
}

// rewrite pushes negations inwards to single questions and replaces each question by
// guard's result. field == nil is always known, and is replaced directly.
func rewrite(n ast.Node, want bool, guard func(question ast.Node, want bool) ast.Node) ast.Node {
	switch n := n.(type) {
	case *ast.UnaryNode:
		if n.Operator == "!" || n.Operator == "not" {
			return rewrite(n.Node, !want, guard)
		}
	case *ast.BinaryNode:
		if and, ok := junction(n, want); ok {
			operator := "||"
			if and {
				operator = "&&"
			}
			return binary(n, operator, rewrite(n.Left, want, guard), rewrite(n.Right, want, guard))
		}
		if field, ok := nilTest(n); ok {
			return not(fact(n, known(field)), (n.Operator == "!=") == want)
		}
	}
	return guard(n, want)
}

// junction reports whether n (or its negation, unless want) is a conjunction or a
// disjunction. ok is false if it is neither.
func junction(n *ast.BinaryNode, want bool) (and, ok bool) {
	switch n.Operator {
	case "&&", "and":
		return want, true
	case "||", "or":
		return !want, true
	}
	return false, false
}

// inside returns the names of the fields that a question mentions.
func (l logic) inside(n ast.Node) (names []string) {
	r := reader{fields: l.fields}
	ast.Walk(&n, &r)
	for _, f := range r.mentioned {
		names = append(names, f.Name)
	}
	return names
}

// nilTest returns the field in field == nil and field != nil.
func nilTest(n *ast.BinaryNode) (field string, ok bool) {
	if n.Operator != "==" && n.Operator != "!=" {
		return "", false
	}
	left, right := n.Left, n.Right
	if _, ok := left.(*ast.NilNode); ok {
		left, right = right, left
	}
	if _, ok := right.(*ast.NilNode); !ok {
		return "", false
	}
	name, ok := left.(*ast.IdentifierNode)
	if !ok {
		return "", false
	}
	return name.Value, true
}

// fact returns an identifier that the machine looks up under name.
func fact(at ast.Node, name string) ast.Node {
	n := &ast.IdentifierNode{Value: name}
	n.SetLocation(at.Location())
	return n
}

// not returns n, negated unless want.
func not(n ast.Node, want bool) ast.Node {
	if want {
		return n
	}
	negated := &ast.UnaryNode{Operator: "!", Node: n}
	negated.SetLocation(n.Location())
	return negated
}

func binary(at ast.Node, operator string, left, right ast.Node) ast.Node {
	n := &ast.BinaryNode{Operator: operator, Left: left, Right: right}
	n.SetLocation(at.Location())
	return n
}

// kindSet is a set of kinds, one bit each.
type kindSet uint

func (s kindSet) has(k ref.Kind) bool { return s&(1<<k) != 0 }

const allKinds = kindSet(1<<(ref.PMsg+1) - 1)

// kinds returns the kinds whose objects can satisfy n, or its negation unless want.
func (l logic) kinds(n ast.Node, want bool) kindSet {
	switch n := n.(type) {
	case *ast.UnaryNode:
		if n.Operator == "!" || n.Operator == "not" {
			return l.kinds(n.Node, !want)
		}
	case *ast.BinaryNode:
		if and, ok := junction(n, want); ok {
			if left, right := l.kinds(n.Left, want), l.kinds(n.Right, want); and {
				return left & right
			} else {
				return left | right
			}
		}
		if field, ok := nilTest(n); ok {
			if mustKnow := (n.Operator == "!=") == want; mustKnow {
				return l.with([]string{field})
			}
			return allKinds
		}
	}
	return l.kindsOf(n, want)
}

// with returns the kinds that have all of these fields.
func (l logic) with(names []string) (s kindSet) {
kinds:
	for _, k := range ref.Kinds() {
		for _, name := range names {
			if !l.fields[index(l.fields, name)].Has(k) {
				continue kinds
			}
		}
		s |= 1 << k
	}
	return s
}

// kindsOf returns the kinds whose objects can answer a question with want. A question
// about kind alone is evaluated for each kind.
func (l logic) kindsOf(question ast.Node, want bool) kindSet {
	names := l.inside(question)
	if len(names) == 1 && names[0] == "kind" {
		if program, err := l.compile(l.certainly(question, want)); err == nil {
			set, _ := l.askKinds(program)
			return set
		}
	}
	return l.with(names)
}

// askKinds returns the kinds for which a program that depends only on kind is true. If
// the program fails for some kinds, they are included and exact is false.
func (l logic) askKinds(program *vm.Program) (set kindSet, exact bool) {
	exact = true
	for _, k := range ref.Kinds() {
		answer, err := vm.Run(program, map[string]any{"kind": k.String(), known("kind"): true, has("kind"): true})
		if yes, _ := answer.(bool); yes || err != nil {
			set |= 1 << k
		}
		exact = exact && err == nil
	}
	return set, exact
}
