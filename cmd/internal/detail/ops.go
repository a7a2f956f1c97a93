package detail

import (
	"strconv"

	"github.com/sysvipc/gipc/sysv"
)

// formatOps writes the operations of one semop(2), separated by commas: the number of a
// semaphore; then +N where N is added, -N where it is subtracted, or =0 for a wait for
// zero; then u for SEM_UNDO and n for IPC_NOWAIT.
func formatOps(ops []sysv.Op) string {
	var b []byte
	for i, op := range ops {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(op.Num), 10)
		switch {
		case op.Add == 0:
			b = append(b, '=')
		case op.Add > 0:
			b = append(b, '+')
		}
		b = strconv.AppendInt(b, int64(op.Add), 10)
		if op.Undo {
			b = append(b, 'u')
		}
		if op.NoWait {
			b = append(b, 'n')
		}
	}
	return string(b)
}
