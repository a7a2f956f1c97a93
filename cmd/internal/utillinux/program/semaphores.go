package program

import (
	"errors"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// Semaphores returns the semaphores of a set. If that fails it reports the error and
// returns false.
func (p *Program) Semaphores(s *sysv.SetInfo) ([]sysvipc.Semaphore, bool) {
	semaphores, err := sysvipc.Semaphores(s.ID, s.NSems)
	if err == nil {
		return semaphores, true
	}
	call := "semctl"
	if e := (*sysv.Error)(nil); errors.As(err, &e) {
		call = strings.Replace(e.Op, " ", "(", 1) + ")"
	}
	p.WarnError(call+" failed", err)
	return nil, false
}
