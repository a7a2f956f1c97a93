package ipctest

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/sysv"
)

// Semtimedop is semtimedop(2), by which other programs wait. The libraries do not need it.
func Semtimedop(id int, timeout time.Duration, ops ...sysv.Op) error {
	sembufs := make([]abi.Sembuf, len(ops))
	for i, op := range ops {
		sembufs[i] = abi.Sembuf{Num: op.Num, Op: op.Add}
		if op.Undo {
			sembufs[i].Flg = abi.SemUndo
		}
	}
	limit := [2]int64{int64(timeout / time.Second), int64(timeout % time.Second)}
	for {
		_, _, e := unix.Syscall6(semtimedop, uintptr(id), uintptr(unsafe.Pointer(unsafe.SliceData(sembufs))), uintptr(len(sembufs)),
			uintptr(unsafe.Pointer(&limit)), 0, 0)
		switch e {
		case unix.EINTR:
		case 0:
			return nil
		default:
			return e
		}
	}
}
