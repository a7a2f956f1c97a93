//go:build linux && !race && !msan && !asan

#include "textflag.h"

#define SYS_mmap 9
#define SYS_munmap 11
#define PROT_NONE 0
#define MAP_PRIVATE_ANONYMOUS 0x22

// plenty is more than the runtime reserves at its start.
#define plenty (2<<30)

// The runtime calls the function at this address instead of making the system call
// (cgo_mmap.go).
DATA _cgo_mmap(SB)/8, $mmap<>(SB)
GLOBL _cgo_mmap(SB), NOPTR, $8

// space says how much address space there was when the first reservation was made.
#define unknown 0
#define roomy 1
#define scarce 2
DATA space<>(SB)/4, $unknown
GLOBL space<>(SB), NOPTR, $4

// unused is the address of the next reservation that is not made by the kernel. The runtime
// puts its heap below 1<<46, the kernel puts programs at 0x555555554000, and mappings above
// that or from 0x2aaaaaaaa000 on.
DATA unused<>(SB)/8, $0x500000000000
GLOBL unused<>(SB), NOPTR, $8

// mmap is mmap(addr, length, prot, flags, fd, offset) by C's conventions. It returns the
// address or, as the runtime expects, a positive error number.
TEXT mmap<>(SB), NOSPLIT|NOFRAME, $0
	MOVQ	CX, R10 // the kernel takes the fourth argument there
	CMPL	DX, $PROT_NONE
	JNE	ask
	CMPL	space<>(SB), $scarce
	JEQ	place
	CMPL	space<>(SB), $roomy
	JEQ	ask

	// The first reservation: is there room for all of them?
	MOVQ	DI, R12
	MOVQ	SI, R13
	MOVL	$0, DI
	MOVQ	$plenty, SI
	MOVL	$MAP_PRIVATE_ANONYMOUS, R10
	MOVL	$SYS_mmap, AX
	SYSCALL
	MOVL	$scarce, space<>(SB)
	CMPQ	AX, $-4095
	JCC	checked
	MOVL	$roomy, space<>(SB)
	MOVQ	AX, DI
	MOVL	$SYS_munmap, AX
	SYSCALL
checked:
	MOVQ	R12, DI
	MOVQ	R13, SI
	MOVL	$MAP_PRIVATE_ANONYMOUS, R10
	CMPL	space<>(SB), $scarce
	JEQ	place

ask:
	MOVL	$SYS_mmap, AX
	SYSCALL
	CMPQ	AX, $-4095
	JCS	done
	NEGQ	AX
done:
	RET

place:
	MOVQ	DI, AX
	TESTQ	AX, AX
	JNE	done // the runtime chose where
	MOVQ	SI, AX
	ADDQ	$0xffff, AX
	ANDQ	$~0xffff, AX
	LOCK
	XADDQ	AX, unused<>(SB)
	RET
