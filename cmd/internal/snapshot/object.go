package snapshot

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/groups"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// A number is a field of an object that is compared as a number: a count, an id, or a time
// in seconds.
type number int

const (
	key number = iota
	mode
	size
	nattch
	nsems
	messages
	qbytes
	inode
	cpid
	uid
	gid
	cuid
	cgid
	atime
	dtime
	otime
	stime
	rtime
	ctime
	numberCount
)

// A form is how a field is written.
type form int

const (
	decimal form = iota
	hexadecimal
	octal
	moment
)

// numbers are the names of the numbers, and their forms.
func numbers() [numberCount]struct {
	name string
	form form
} {
	return [numberCount]struct {
		name string
		form form
	}{
		key: {"key", hexadecimal}, mode: {"mode", octal},
		size: {"size", decimal}, nattch: {"nattch", decimal}, nsems: {"nsems", decimal}, messages: {"messages", decimal},
		qbytes: {"qbytes", decimal}, inode: {"inode", decimal}, cpid: {"cpid", decimal},
		uid: {"uid", decimal}, gid: {"gid", decimal}, cuid: {"cuid", decimal}, cgid: {"cgid", decimal},
		atime: {"atime", moment}, dtime: {"dtime", moment}, otime: {"otime", moment}, stime: {"stime", moment},
		rtime: {"rtime", moment}, ctime: {"ctime", moment},
	}
}

func (f form) decode(value []byte) (int64, bool) {
	switch f {
	case hexadecimal:
		return decodeNumber(value, 16)
	case octal:
		return decodeNumber(value, 8)
	case moment:
		return decodeTime(value)
	default:
		return decodeNumber(value, 10)
	}
}

// An Object is a line of a snapshot.
type Object struct {
	ref.Object
	numbers [numberCount]int64
	known   uint32         // a bit for each number
	texts   []groups.Value // in the order of Snapshot.Texts
}

// number returns a field, and whether it is known.
func (o *Object) number(n number) (int64, bool) { return o.numbers[n], o.known&(1<<n) != 0 }

// value is number for an object that may be nil.
func (o *Object) value(n number) (int64, bool) {
	if o == nil {
		return 0, false
	}
	return o.number(n)
}

// A decoder makes objects of lines. It keeps one copy of each text, since most texts occur
// often.
type decoder struct {
	texts   []string // the names of the texts to keep
	columns map[string]column
	copies  map[string]string
	object  Object
	kind    bool // the object's kind was there
	id      bool // and its id
}

// A column is where a field is kept: in a number or a text.
type column struct {
	number number // numberCount if it is no number
	form   form
	text   int // -1 if it is no text to keep
}

func newDecoder(texts []string) *decoder {
	d := &decoder{texts: texts, columns: make(map[string]column), copies: make(map[string]string)}
	for i, n := range numbers() {
		d.columns[n.name] = column{number: number(i), form: n.form, text: -1}
	}
	for i, name := range texts {
		d.columns[name] = column{number: numberCount, text: i}
	}
	for _, name := range []string{"kind", "id", "name"} {
		if _, ok := d.columns[name]; !ok {
			d.columns[name] = column{number: numberCount, text: -1}
		}
	}
	return d
}

// decode returns the object of a line.
func (d *decoder) decode(line []byte) (Object, error) {
	d.object = Object{texts: make([]groups.Value, len(d.texts))}
	d.kind, d.id = false, false
	if err := members(line, d.member); err != nil {
		return Object{}, err
	}
	o := &d.object
	_, hasInode := o.number(inode)
	switch {
	case !d.kind:
		return Object{}, errors.New("it has no kind")
	case o.Kind.POSIX() && (o.Name == "" || !hasInode):
		return Object{}, errors.New("it has no name or no inode")
	case !o.Kind.POSIX() && !d.id:
		return Object{}, errors.New("it has no id")
	}
	return *o, nil
}

// member stores a field.
func (d *decoder) member(name, value []byte) error {
	inside, ok := quoted(name)
	if !ok {
		return nil // the names of our fields need no escapes
	}
	c, ok := d.columns[string(inside)]
	if !ok || isNull(value) {
		return nil
	}
	wrong := func() error { return fmt.Errorf("its %s is wrong", inside) }
	switch string(inside) {
	case "kind":
		word, _ := decodeText(value)
		if d.object.Kind, d.kind = kindOf(word); !d.kind {
			return wrong()
		}
	case "id":
		n, ok := decodeNumber(value, 10)
		if !ok || n != int64(int32(n)) {
			return wrong()
		}
		d.object.ID, d.id = int(n), true
	case "name":
		if d.object.Name, ok = decodeText(value); !ok {
			return wrong()
		}
	}
	switch {
	case c.text >= 0:
		text, ok := d.text(value)
		if !ok {
			return wrong()
		}
		d.object.texts[c.text] = groups.Value{Text: text, Known: true}
	case c.number < numberCount:
		n, ok := c.form.decode(value)
		if !ok {
			return wrong()
		}
		d.object.numbers[c.number] = n
		d.object.known |= 1 << c.number
	}
	return nil
}

// text returns the only copy of a text.
func (d *decoder) text(value []byte) (string, bool) {
	if s, ok := d.copies[string(value)]; ok {
		return s, true
	}
	s, ok := decodeText(value)
	if ok {
		d.copies[string(slices.Clone(value))] = s
	}
	return s, ok
}
