package sysv

import (
	"errors"
	"testing"

	"github.com/sysvipc/gipc/internal/abi"
)

// TestTable walks tables that no kernel of today has.
func TestTable(t *testing.T) {
	ok := func(n int) func() (int, abi.Errno) { return func() (int, abi.Errno) { return n, 0 } }
	failed := func() (int, abi.Errno) { return 0, abi.EPERM }
	only := func(want int) func(int) (int, abi.Errno) {
		return func(index int) (int, abi.Errno) {
			if index != want {
				return 0, abi.EINVAL
			}
			return index, 0
		}
	}
	late := 0
	tests := []struct {
		name string
		of   table[int]
		rows int
		err  error
	}{
		{"empty", table[int]{at: only(-1), top: ok(0), inUse: ok(0)}, 0, nil},
		{"a row behind gaps", table[int]{at: only(7), top: ok(9), inUse: ok(1)}, 1, nil},
		{"SHM_STAT_ANY unknown", table[int]{at: only(-1), top: ok(3), inUse: ok(2)}, 0, abi.ENOSYS},
		{"no highest index", table[int]{at: only(0), top: failed, inUse: ok(1)}, 0, abi.EPERM},
		{"no number in use", table[int]{at: only(-1), top: ok(3), inUse: failed}, 0, abi.EPERM},
		{"a row that comes while it is walked", table[int]{
			at: func(index int) (int, abi.Errno) {
				if late++; late < 5 {
					return 0, abi.EINVAL
				}
				return index, 0
			},
			top: ok(0), inUse: ok(1),
		}, 1, nil},
	}
	for _, test := range tests {
		rows := 0
		var got error
		for _, err := range test.of.all {
			if err != nil {
				got = err
				continue
			}
			rows++
		}
		if rows != test.rows || !errors.Is(got, test.err) || test.err == nil && got != nil {
			t.Errorf("%s: %d rows, %v, want %d, %v", test.name, rows, got, test.rows, test.err)
		}
	}
}
