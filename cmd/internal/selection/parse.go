package selection

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"

	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/sysv"
)

// Parse parses an expression. If the expression is wrong or mentions no field, the
// error is an *Error.
func Parse(text string) (*Condition, error) {
	all := fields.Fields()
	config := conf.New(environment(all))
	tree, err := parser.ParseWithConfig(text, config)
	if err != nil {
		return nil, newError(text, err)
	}
	r := reader{fields: all, text: []rune(text)}
	ast.Walk(&tree.Node, (*literals)(&r))
	ast.Walk(&tree.Node, &r)
	if r.err != nil {
		return nil, newError(text, r.err)
	}
	t, err := checker.Check(tree, config)
	if err != nil {
		return nil, newTypeError(text, err, all)
	}
	if t.Kind() != reflect.Bool {
		return nil, &Error{Message: fmt.Sprintf("it is a %s, not true or false", inWords(t.String()))}
	}
	if len(r.mentioned) == 0 {
		return nil, &Error{Message: "it mentions no field, so it would select all objects or none"}
	}
	l := logic{all, config}
	c := &Condition{text: text, fields: r.mentioned, named: r.named, kinds: l.kinds(tree.Node, true)}
	if c.certain, err = l.compile(l.certainly(tree.Node, true)); err != nil {
		return nil, newError(text, err)
	}
	if c.possible, err = l.compile(l.possibly(tree.Node, true)); err != nil {
		return nil, newError(text, err)
	}
	if len(c.fields) == 1 && c.fields[0].Name == "kind" {
		c.kinds, c.kindOnly = l.askKinds(c.certain)
	}
	return c, nil
}

// known and has are the names under which the machine finds whether a field is known,
// and whether objects of the kind have it. No expression can contain such names.
func known(field string) string { return field + " is known" }
func has(field string) string   { return field + " is there" }

// environment returns the types of all names that the machine knows.
func environment(all fields.List) types.Map {
	env := make(types.Map)
	for _, f := range all {
		env[f.Name], env[known(f.Name)], env[has(f.Name)] = typeOf(f.Type), types.Bool, types.Bool
	}
	return env
}

func typeOf(t fields.Type) types.Type {
	switch t {
	case fields.Text:
		return types.String
	case fields.Number:
		return types.TypeOf(number(0))
	case fields.Time:
		return types.TypeOf(time.Time{})
	case fields.Duration:
		return types.TypeOf(time.Duration(0))
	case fields.Condition:
		return types.Bool
	case fields.Texts:
		return types.TypeOf([]string(nil))
	default:
		return types.TypeOf([]int64(nil))
	}
}

// number returns n in a type that compares correctly. The machine truncates integers to
// int, which is wrong if int has 32 bits.
func number(n int64) any {
	if strconv.IntSize < 64 {
		return float64(n)
	}
	return n
}

// A reader collects what an expression mentions.
type reader struct {
	text      []rune
	fields    fields.List
	mentioned fields.List
	named     []string    // words that are compared with kind
	err       *file.Error // the first error
}

func (r *reader) fail(node ast.Node, format string, args ...any) {
	if r.err == nil {
		r.err = &file.Error{Location: node.Location(), Message: fmt.Sprintf(format, args...)}
	}
}

func index(list fields.List, name string) int {
	return slices.IndexFunc(list, func(f fields.Column) bool { return f.Name == name })
}

// literals replaces duration("1h"), size("1M") and key("0x4d2") by their values.
type literals reader

func (l *literals) Visit(node *ast.Node) {
	name, arguments := "", []ast.Node(nil)
	switch n := (*node).(type) {
	case *ast.IntegerNode:
		(*reader)(l).checkOctal(n)
		return
	case *ast.BuiltinNode:
		name, arguments = n.Name, n.Arguments
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
			name, arguments = callee.Value, n.Arguments
		}
	}
	parse := literal(name)
	if parse == nil {
		return
	}
	r := (*reader)(l)
	if len(arguments) != 1 {
		r.fail(*node, "%s takes one text in quotes", name)
		return
	}
	text, ok := arguments[0].(*ast.StringNode)
	if !ok {
		r.fail(arguments[0], "%s takes a text in quotes", name)
		return
	}
	v, err := parse(text.Value)
	if err != nil {
		r.fail(text, "%v", err)
		return
	}
	ast.Patch(node, &ast.ConstantNode{Value: v})
}

// checkOctal rejects a number such as 0644. Package expr would read it as decimal, but the
// user means the mode that a listing prints.
func (r *reader) checkOctal(n *ast.IntegerNode) {
	at := n.Location().From
	if at+1 >= len(r.text) || r.text[at] != '0' || r.text[at+1] < '0' || r.text[at+1] > '9' {
		return
	}
	digits := at
	for digits < len(r.text) && '0' <= r.text[digits] && r.text[digits] <= '9' {
		digits++
	}
	octal := strings.TrimLeft(string(r.text[at:digits]), "0")
	r.fail(n, "write 0o%s for an octal number", octal)
}

// literal returns the parser for the argument of one of our functions, or nil for any other
// function.
func literal(name string) func(string) (any, error) {
	switch name {
	case "duration":
		return func(s string) (any, error) { return units.ParseDuration(s) }
	case "size":
		return func(s string) (any, error) {
			n, err := units.ParseSize(s)
			return number(n), err
		}
	case "key":
		return func(s string) (any, error) {
			key, err := sysv.ParseKey(s)
			return number(int64(uint32(key))), err
		}
	}
	return nil
}

// Visit collects the fields, and finds mistakes other than type errors.
func (r *reader) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if n.Value == "$env" { // it would reach fields that reader does not see
			r.fail(n, "unknown name $env")
		}
		if i := index(r.fields, n.Value); i >= 0 && index(r.mentioned, n.Value) < 0 {
			r.mentioned = append(r.mentioned, r.fields[i])
		}
	case *ast.PredicateNode:
		r.checkNested(n)
	case *ast.BinaryNode:
		switch n.Operator {
		case "==", "!=", "in":
			r.checkWord(n.Left, n.Right)
			r.checkWord(n.Right, n.Left)
		case "??":
			r.fail(n, "?? does not work on fields; test with == nil whether a field is known")
		}
	}
}

// checkNested rejects nested list functions, which bounds the time that an expression
// takes.
func (r *reader) checkNested(outer *ast.PredicateNode) {
	ast.Walk(&outer.Node, visit(func(n ast.Node) {
		if inner, ok := n.(*ast.PredicateNode); ok {
			r.fail(inner, "a list function cannot run inside a list function")
		}
	}))
}

// A visit is a function called for each node.
type visit func(ast.Node)

func (v visit) Visit(node *ast.Node) { v(*node) }

// checkWord rejects words that a field never has: kind != "segment" would select
// everything.
func (r *reader) checkWord(node, other ast.Node) {
	field, ok := node.(*ast.IdentifierNode)
	if !ok {
		return
	}
	words := vocabulary(field.Value)
	if words == nil {
		return
	}
	list := []ast.Node{other}
	if array, ok := other.(*ast.ArrayNode); ok {
		list = array.Nodes
	}
	for _, n := range list {
		word, ok := n.(*ast.StringNode)
		switch {
		case !ok:
		case !slices.Contains(words, word.Value):
			r.fail(word, "%s is never %q; it is one of %s", field.Value, word.Value, strings.Join(words, ", "))
		case field.Value == "kind":
			r.named = append(r.named, word.Value)
		}
	}
}

// vocabulary returns all possible values of a field, or nil if any text is possible.
func vocabulary(field string) []string {
	switch field {
	case "kind":
		return words(ref.Kinds())
	case "verdict":
		return words([]inventory.Verdict{inventory.InUse, inventory.Idle, inventory.Orphan, inventory.Unknown})
	}
	return nil
}

func words[T fmt.Stringer](list []T) []string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = v.String()
	}
	return texts
}
