package semops

import "errors"

// Errors of locks. Failed system calls return *sysv.Error.
var (
	// ErrNotRecoverable means that a holder that was told abandoned unlocked without
	// MarkConsistent. The lock cannot be taken any more.
	ErrNotRecoverable = errors.New("the state that the lock protects is not recoverable")

	// ErrInconsistent means that a writer died and MarkConsistent has not been called
	// since. The call did not acquire anything.
	ErrInconsistent = errors.New("an owner died and nobody has marked the state consistent")

	// ErrNotHeld is returned by an Unlock of a lock that is not held through this value.
	ErrNotHeld = errors.New("the lock is not held")
)
