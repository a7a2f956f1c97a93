package shmring

import (
	"fmt"
	"hash/fnv"
	"reflect"
	"strings"

	"github.com/sysvipc/gipc/internal/memory"
)

// A schema describes a type of values in shared memory: their size, and the names, kinds
// and offsets of their parts. Two programs may use different names for the type.
type schema struct {
	size uint64
	text string
}

// schemaOf returns the schema of T. Errors: ErrPointers.
func schemaOf[T any]() (schema, error) {
	t := reflect.TypeFor[T]()
	if memory.HasPointers(t) {
		return schema{}, fmt.Errorf("shmring: %v: %w", t, ErrPointers)
	}
	var b strings.Builder
	describe(&b, t)
	return schema{uint64(t.Size()), b.String()}, nil
}

// ErrPointers means that a type holds pointers, which mean nothing in other processes.
var ErrPointers = memory.ErrPointers

// describe writes the layout of t: an int is an int32 or int64, as it is on this machine.
func describe(b *strings.Builder, t reflect.Type) {
	switch t.Kind() {
	case reflect.Array:
		fmt.Fprintf(b, "[%d]", t.Len())
		describe(b, t.Elem())
	case reflect.Struct:
		b.WriteString("{")
		for i := range t.NumField() {
			f := t.Field(i)
			fmt.Fprintf(b, "%s@%d ", f.Name, f.Offset)
			describe(b, f.Type)
			b.WriteString(";")
		}
		b.WriteString("}")
	case reflect.Int, reflect.Uint, reflect.Uintptr:
		sign := ""
		if t.Kind() != reflect.Int {
			sign = "u"
		}
		fmt.Fprintf(b, "%sint%d", sign, t.Bits())
	default:
		b.WriteString(t.Kind().String())
	}
}

func (s schema) hash() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.text)) // never fails
	return h.Sum64()
}

// store writes the schema into a new header.
func (s schema) store(w *schemaWords) {
	w.size.Store(s.size)
	w.hash.Store(s.hash())
	copy(w.text[:], s.text)
}

// check returns ErrMismatch if the header describes another type.
func (s schema) check(w *schemaWords) error {
	size, hash := w.size.Load(), w.hash.Load()
	if size == s.size && hash == s.hash() {
		return nil
	}
	theirs := string(w.text[:])
	theirs, _, _ = strings.Cut(theirs, "\x00")
	sizes := ""
	if size != s.size {
		sizes = fmt.Sprintf("%d bytes, not %d: ", size, s.size)
	}
	return fmt.Errorf("shmring: %w: its values have %s%s", ErrMismatch, sizes, difference(theirs, s.text))
}

// difference shows two descriptions from where they begin to differ.
func difference(theirs, ours string) string {
	at := 0
	for at < len(theirs) && at < len(ours) && theirs[at] == ours[at] {
		at++
	}
	at = strings.LastIndexAny(ours[:at], "{;") + 1
	part := func(s string) string {
		s = strings.ToValidUTF8(s[min(at, len(s)):], "?")
		return s[:min(len(s), 80)]
	}
	return fmt.Sprintf("%q, not %q", part(theirs), part(ours))
}
