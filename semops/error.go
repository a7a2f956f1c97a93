package semops

import "errors"

// What a lock may have to say. Failed system calls come as *sysv.Error.
var (
	// ErrNotRecoverable says that somebody who was told of a death unlocked without
	// MarkConsistent. Nobody can lock any more.
	ErrNotRecoverable = errors.New("the state that the lock protects is not recoverable")

	// ErrInconsistent says that a writer died and nobody has called MarkConsistent
	// since. The caller holds no more than before.
	ErrInconsistent = errors.New("an owner died and nobody has marked the state consistent")

	// ErrNotHeld is returned by an Unlock of what is not locked through this value.
	ErrNotHeld = errors.New("the lock is not held")
)
