package policy

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A document is the text of a policy.
type document struct {
	name string
	text []byte
}

// fail returns an error about the text that begins at an offset.
func (d *document) fail(at int, message string) *Error {
	before := d.text[:at]
	begin := bytes.LastIndexByte(before, '\n') + 1
	return &Error{
		File: d.name, Line: bytes.Count(before, []byte("\n")) + 1,
		Column: utf8.RuneCount(before[begin:]) + 1, Message: message,
	}
}

// A value is a value of the document.
type value struct {
	at   int // offset of its first byte
	kind unstable.Kind
	text string  // of a scalar
	raw  string  // of a text, as it is written
	list []value // of an array
	keys *table  // of a table
}

// A table is a table of the document.
type table struct {
	at    int // offset of its name or brace
	items []item
}

// An item is a key with its value.
type item struct {
	key string
	at  int
	value
}

func (t *table) find(key string) *item {
	i := slices.IndexFunc(t.items, func(i item) bool { return i.key == key })
	if i < 0 {
		return nil
	}
	return &t.items[i]
}

// parse returns the document's table. First the library decodes the text to check syntax,
// types, and duplicate keys. A second pass then records where each value is, which decoded
// values do not show.
func (d *document) parse() (*table, error) {
	var discarded map[string]any
	if err := toml.Unmarshal(d.text, &discarded); err != nil {
		return nil, d.syntaxError(err)
	}
	root := &table{}
	current := root
	var p unstable.Parser
	p.Reset(d.text)
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.KeyValue:
			d.add(&p, current, e)
		case unstable.Table, unstable.ArrayTable:
			current = root.open(e)
		}
	}
	return root, p.Error()
}

// syntaxError returns an error of package toml with its place.
func (d *document) syntaxError(err error) error {
	var wrong *toml.DecodeError
	if !errors.As(err, &wrong) {
		return d.fail(0, err.Error())
	}
	line, column := wrong.Position()
	at := 0
	for range line - 1 {
		at += bytes.IndexByte(d.text[at:], '\n') + 1
	}
	return d.fail(min(at+column-1, len(d.text)), strings.TrimPrefix(wrong.Error(), "toml: "))
}

// open returns the table that a heading opens.
func (t *table) open(heading *unstable.Node) *table {
	for keys := heading.Key(); keys.Next(); {
		key := keys.Node()
		i := t.item(string(key.Data), int(key.Raw.Offset))
		at := int(key.Raw.Offset)
		switch {
		case keys.IsLast() && heading.Kind == unstable.ArrayTable:
			i.kind = unstable.Array
			i.list = append(i.list, value{at: at, kind: unstable.InlineTable, keys: &table{at: at}})
			t = i.list[len(i.list)-1].keys
		case i.kind == unstable.Array:
			t = i.list[len(i.list)-1].keys
		default:
			t = i.asTable(at)
		}
	}
	return t
}

// item returns the item with a key, which it adds if there is none.
func (t *table) item(key string, at int) *item {
	if i := t.find(key); i != nil {
		return i
	}
	t.items = append(t.items, item{key: key, at: at, value: value{at: at}})
	return &t.items[len(t.items)-1]
}

func (i *item) asTable(at int) *table {
	if i.keys == nil {
		i.kind, i.keys = unstable.InlineTable, &table{at: at}
	}
	return i.keys
}

// add adds a key, which may have dots, and its value.
func (d *document) add(p *unstable.Parser, t *table, e *unstable.Node) {
	for keys := e.Key(); keys.Next(); {
		key := keys.Node()
		i := t.item(string(key.Data), int(key.Raw.Offset))
		if keys.IsLast() {
			if i.value = d.value(p, e.Value()); i.kind == unstable.Array {
				i.value.at = i.at // the parser does not record where an array is
			}
			return
		}
		t = i.asTable(int(key.Raw.Offset))
	}
}

func (d *document) value(p *unstable.Parser, n *unstable.Node) value {
	v := value{at: int(n.Raw.Offset), kind: n.Kind, text: string(n.Data), raw: string(p.Raw(n.Raw))}
	switch n.Kind {
	case unstable.Array:
		for all := n.Children(); all.Next(); {
			if e := d.value(p, all.Node()); e.kind != unstable.Comment {
				v.list = append(v.list, e)
			}
		}
	case unstable.InlineTable:
		v.keys = &table{at: v.at}
		for all := n.Children(); all.Next(); {
			if all.Node().Kind == unstable.KeyValue {
				d.add(p, v.keys, all.Node())
			}
		}
	}
	return v
}

// within returns the offset in the document of a text's character. Characters count from 1.
func (v *value) within(character int) int {
	rest := v.raw
	if quotes := rest[:min(3, len(rest))]; quotes == `"""` || quotes == "'''" {
		rest = strings.TrimPrefix(strings.TrimPrefix(rest[3:], "\r"), "\n")
	} else {
		rest = rest[min(1, len(rest)):]
	}
	escapes := strings.HasPrefix(v.raw, `"`)
	for range character - 1 {
		rest = rest[charWidth(rest, escapes):]
	}
	if escapes {
		rest = rest[foldWidth(rest):]
	}
	return v.at + len(v.raw) - len(rest)
}

// charWidth returns how many bytes of a quoted text stand for its first character.
func charWidth(s string, escapes bool) int {
	folded := 0
	if escapes {
		folded = foldWidth(s)
	}
	rest := s[folded:]
	n := 0
	switch {
	case rest == "":
	case !escapes || rest[0] != '\\' || len(rest) == 1:
		_, n = utf8.DecodeRuneInString(rest)
	case rest[1] == 'x':
		n = len(`\xHH`)
	case rest[1] == 'u':
		n = len(`\uHHHH`)
	case rest[1] == 'U':
		n = len(`\UHHHHHHHH`)
	default:
		n = len(`\n`)
	}
	return folded + min(n, len(rest))
}

// foldWidth returns how many bytes at the beginning of s are backslashes that end a line,
// with the white space after them. They stand for nothing.
func foldWidth(s string) (width int) {
	for {
		rest, ok := strings.CutPrefix(s[width:], `\`)
		if !ok {
			return width
		}
		line := strings.TrimLeft(rest, " \t\r")
		if !strings.HasPrefix(line, "\n") {
			return width
		}
		width = len(s) - len(strings.TrimLeft(line, " \t\r\n"))
	}
}
