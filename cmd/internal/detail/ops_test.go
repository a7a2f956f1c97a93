package detail

import (
	"testing"

	"github.com/sysvipc/gipc/sysv"
)

func TestFormatOps(t *testing.T) {
	for want, ops := range map[string][]sysv.Op{
		"":         nil,
		"3=0,3+1u": {{Num: 3}, {Num: 3, Add: 1, Undo: true}},
		"0-1un":    {{Add: -1, Undo: true, NoWait: true}},
		"65535-32768,0+32767": {
			{Num: 65535, Add: -32768}, {Add: 32767},
		},
	} {
		if got := formatOps(ops); got != want {
			t.Errorf("formatOps(%+v) = %q, want %q", ops, got, want)
		}
	}
}
