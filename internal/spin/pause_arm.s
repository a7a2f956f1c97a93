#include "textflag.h"

// func Pause(n uint32)
TEXT ·Pause(SB), NOSPLIT, $0-4
	MOVW n+0(FP), R0
	CMP  $0, R0
	BEQ  done

again:
	WORD $0xe320f001 // YIELD, a no-op before ARMv6K
	SUB.S $1, R0
	BNE  again

done:
	RET
