package explain

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/sysv"
)

// creation returns the sentence for an object that could not be made, "" if there is
// nothing to add to the error itself.
func creation(e *sysv.Error) string {
	if !strings.HasSuffix(e.Op, "get") || errors.Is(e, sysv.ErrMismatch) {
		return "" // it was made
	}
	if !errors.Is(e, abi.EINVAL) || !e.ByKey || e.Size == 0 && e.Count == 0 {
		return e.Reason
	}
	f, ok := find(e)
	switch {
	case ok && e.Kind == sysv.Shm && e.Size > f.size:
		return fmt.Sprintf("%s has %d bytes, less than the %d asked for", existing(e), f.size, e.Size)
	case e.Reason == "" && e.Kind == sysv.Shm:
		return fmt.Sprintf("the kernel can't make a segment of %d bytes", e.Size)
	default:
		return e.Reason
	}
}
