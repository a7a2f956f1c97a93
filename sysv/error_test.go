package sysv_test

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/sysvipc/gipc/sysv"
)

func TestError(t *testing.T) {
	reason := errors.New("reason")
	tests := []struct {
		err  *sysv.Error
		want string
	}{
		{&sysv.Error{Op: "shmget", Kind: sysv.Shm, ByKey: true, Key: 1234, Err: reason}, "shmget shm:0x000004d2: reason"},
		{&sysv.Error{Op: "semctl GETVAL", Kind: sysv.Sem, ID: 65538, Err: reason}, "semctl GETVAL sem:65538: reason"},
		{&sysv.Error{Op: "msgrcv", Kind: sysv.Msg, ID: 0, Key: 7, Err: reason}, "msgrcv msg:0: reason"},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("error %q, want %q", got, test.want)
		}
		if !errors.Is(test.err, reason) {
			t.Errorf("%v does not unwrap to its reason", test.err)
		}
	}
}

// TestErrorIs checks which error numbers are which errors of package fs.
func TestErrorIs(t *testing.T) {
	tests := []struct {
		errno                       syscall.Errno
		exist, notExist, permission bool
	}{
		{syscall.EEXIST, true, false, false},
		{syscall.ENOENT, false, true, false},
		{syscall.EIDRM, false, true, false},
		{syscall.EACCES, false, false, true},
		{syscall.EPERM, false, false, true},
		{syscall.EINVAL, false, false, false}, // unless the call knows that the object does not exist
		{syscall.ENOSPC, false, false, false},
	}
	for _, test := range tests {
		err := error(&sysv.Error{Op: "call", Err: test.errno})
		if errors.Is(err, fs.ErrExist) != test.exist || errors.Is(err, fs.ErrNotExist) != test.notExist || errors.Is(err, fs.ErrPermission) != test.permission {
			t.Errorf("%v is fs.ErrExist %v, fs.ErrNotExist %v, fs.ErrPermission %v", test.errno,
				errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission))
		}
	}
}

func TestKind(t *testing.T) {
	for kind, want := range map[sysv.Kind]string{sysv.Shm: "shm", sysv.Sem: "sem", sysv.Msg: "msg"} {
		if kind.String() != want {
			t.Errorf("%q, want %q", kind, want)
		}
	}
}
