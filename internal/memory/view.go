package memory

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"
)

// Errors of a typed view.
var (
	ErrPointers  = errors.New("type holds pointers, which mean nothing in shared memory")
	ErrAlignment = errors.New("offset is not aligned for the type")
)

// View returns the T at offset off. It checks that the T lies within the region, that its
// address is aligned, and that T holds no Go pointers.
func View[T any](r *Region, off int) (*T, error) {
	s, err := Slice[T](r, off, 1)
	if err != nil {
		return nil, err
	}
	return unsafe.SliceData(s), nil
}

// Slice returns the n elements of type T that begin at offset off, with the checks of
// View. The slice cannot be grown in place.
func Slice[T any](r *Region, off, n int) (s []T, err error) {
	err = r.Do(func(mem []byte) error {
		s, err = slice[T](mem, off, n)
		return err
	})
	return s, err
}

func slice[T any](mem []byte, off, n int) ([]T, error) {
	var zero T
	size, align := unsafe.Sizeof(zero), unsafe.Alignof(zero)
	if t := reflect.TypeFor[T](); HasPointers(t) {
		return nil, fmt.Errorf("%v: %w", t, ErrPointers)
	}
	if off < 0 || off > len(mem) || n < 0 || size != 0 && uintptr(n) > uintptr(len(mem)-off)/size {
		return nil, fmt.Errorf("%w: %d times %d bytes at offset %d of %d", ErrBounds, n, size, off, len(mem))
	}
	p := unsafe.Add(unsafe.Pointer(unsafe.SliceData(mem)), off)
	if uintptr(p)%align != 0 {
		return nil, fmt.Errorf("%w: offset %d, alignment %d", ErrAlignment, off, align)
	}
	return unsafe.Slice((*T)(p), n), nil
}

// HasPointers reports whether a value of type t refers to memory outside itself.
func HasPointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return t.Len() > 0 && HasPointers(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if HasPointers(t.Field(i).Type) {
				return true
			}
		}
		return false
	case reflect.Pointer, reflect.UnsafePointer, reflect.String, reflect.Slice,
		reflect.Map, reflect.Chan, reflect.Func, reflect.Interface:
		return true
	default:
		return false
	}
}
