package sysv

import (
	"errors"
	"testing"

	"github.com/sysvipc/gipc/internal/abi"
)

// A kernel is a table in a state that current kernels do not show.
type kernel struct {
	top, inUse    func() (int, abi.Errno)
	stat, statAny func(index int) (id int, e abi.Errno)
}

func (k kernel) table() table[int] {
	const stat, statAny = 1, 2
	return table[int]{
		call: "shmctl", command: "SHM", stat: stat, statAny: statAny, top: k.top, inUse: k.inUse,
		at: func(index, cmd int) (int, int, abi.Errno) {
			ask := k.statAny
			if cmd == stat {
				ask = k.stat
			}
			id, e := ask(index)
			return id, id, e
		},
	}
}

func count(n int) func() (int, abi.Errno)         { return func() (int, abi.Errno) { return n, 0 } }
func failing(e abi.Errno) func() (int, abi.Errno) { return func() (int, abi.Errno) { return 0, e } }

func always(e abi.Errno) func(int) (int, abi.Errno) {
	return func(int) (int, abi.Errno) { return 0, e }
}

// only returns a table with one object, whose identifier is its index.
func only(want int) func(int) (int, abi.Errno) {
	return func(index int) (int, abi.Errno) {
		if index != want {
			return 0, abi.EINVAL
		}
		return index, 0
	}
}

// inTurn returns a table that gives the answers one after the other, whatever the index,
// and starts again after the last.
func inTurn(answers ...abi.Errno) func(int) (int, abi.Errno) {
	n := 0
	return func(int) (int, abi.Errno) {
		n++
		return n, answers[(n-1)%len(answers)] // never the same object
	}
}

func TestTable(t *testing.T) {
	calls := 0
	late := func(index int) (int, abi.Errno) {
		if calls++; calls < 5 {
			return 0, abi.EINVAL
		}
		return index, 0
	}
	tests := []struct {
		name string
		of   kernel
		rows int
		err  error
		op   string
	}{
		{"empty", kernel{count(0), count(0), only(-1), only(-1)}, 0, nil, ""},
		{"a row behind gaps", kernel{count(9), count(1), only(7), only(7)}, 1, nil, ""},
		{"SHM_STAT_ANY unknown", kernel{count(3), count(2), only(2), always(abi.EINVAL)}, 0, abi.ENOSYS, "shmctl SHM_STAT_ANY"},
		{"SHM_STAT_ANY unknown, nothing readable", kernel{count(3), count(2), always(abi.EACCES), always(abi.EINVAL)}, 0, abi.ENOSYS, "shmctl SHM_STAT_ANY"},
		{"SHM_STAT_ANY unknown, SHM_INFO refused", kernel{count(3), failing(abi.EPERM), only(2), always(abi.EINVAL)}, 0, abi.ENOSYS, "shmctl SHM_STAT_ANY"},
		{"empty or refused, who knows", kernel{count(0), failing(abi.EPERM), only(-1), only(-1)}, 0, abi.EPERM, "shmctl SHM_INFO"},
		{"SHM_STAT_ANY refused", kernel{count(3), count(2), only(2), always(abi.EPERM)}, 0, abi.EPERM, "shmctl SHM_STAT_ANY"},
		{"one object refused", kernel{count(3), count(2), only(0), func(index int) (int, abi.Errno) {
			if index == 0 {
				return 0, 0
			}
			return 0, abi.EACCES
		}}, 1, abi.EACCES, "shmctl SHM_STAT_ANY"},
		{"IPC_INFO refused", kernel{failing(abi.EPERM), count(1), only(0), only(0)}, 0, abi.EPERM, "shmctl IPC_INFO"},
		{"SHM_STAT and SHM_STAT_ANY refused as invalid", kernel{count(3), count(2), always(abi.EINVAL), always(abi.EINVAL)}, 0, abi.ENOSYS, "shmctl SHM_STAT_ANY"},
		{"always gone when looked at", kernel{count(0), count(1), inTurn(0, abi.EINVAL), always(abi.EINVAL)}, 0, nil, ""},
		{"always another one", kernel{count(0), count(1), inTurn(0), always(abi.EINVAL)}, 0, nil, ""},
		{"of others, and gone now and then", kernel{count(0), count(1), inTurn(abi.EACCES, abi.EACCES, abi.EACCES, abi.EINVAL), always(abi.EINVAL)}, 0, nil, ""},
		{"a row that comes while it is walked", kernel{count(0), count(1), late, late}, 1, nil, ""},
	}
	for _, test := range tests {
		rows := 0
		var got error
		for _, err := range test.of.table().all {
			if err != nil {
				got = err
				continue
			}
			rows++
		}
		if rows != test.rows || !errors.Is(got, test.err) || test.err == nil && got != nil {
			t.Errorf("%s: %d rows, %v, want %d, %v", test.name, rows, got, test.rows, test.err)
		}
		if e := (*Error)(nil); errors.As(got, &e) && e.Op != test.op {
			t.Errorf("%s: the error is of %s, want %s", test.name, e.Op, test.op)
		}
	}
}
