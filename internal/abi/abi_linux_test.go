package abi

import (
	"math"
	"testing"
)

// TestNarrow checks that narrow passes what fits, and never truncates what does not.
func TestNarrow(t *testing.T) {
	tests := map[int]int{0: 0, 1: 1, -1: -1, math.MaxInt32: math.MaxInt32, math.MinInt32: math.MinInt32}
	if math.MaxInt > math.MaxInt32 {
		for _, beyond := range []uint64{1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 7} {
			tests[int(beyond)] = -1
		}
		tests[math.MaxInt] = -1
		tests[math.MinInt] = -1
	}
	for n, want := range tests {
		if got := narrow(n); got != uintptr(want) {
			t.Errorf("narrow(%d) = %d, want %d", n, int(got), want)
		}
	}
}

func TestMessageType(t *testing.T) {
	for _, mtype := range []int{1, -1, 0, 0x01020304, math.MaxInt, math.MinInt} {
		msg := make([]byte, MsgHeader+1)
		PutMsgType(msg, mtype)
		if got := MsgType(msg); got != mtype || msg[MsgHeader] != 0 {
			t.Errorf("MsgType after PutMsgType(%d) = %d", mtype, got)
		}
	}
}
