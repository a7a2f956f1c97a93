package shmring

// An identity is what a process writes into the word that says who has a role:
//
//	bits 63 … 22  when the process started, in ticks of the clock since the boot
//	bits 21 …  0  its process number, 0 if it can't be told to the others
//
// The kernel gives numbers below 2^22, and none twice within a tick. That it is one
// word makes taking a role and telling who took it one operation, and taking it
// over from a dead process a compare-and-swap.
type identity uint64

const (
	nobody identity = 0
	// gone is in the consumer's word after an orderly Close.
	gone identity = 1<<64 - 1

	pidBits = 22
)

// A system is what identities depend on.
type system struct {
	boot       uint64 // which run of the kernel
	namespaces uint64 // the calling process's of process numbers and of times
	pid        int    // 0 if /proc does not tell of this process by its number
	start      uint64
}

// identity returns the calling process's identity in a ring whose process numbers
// are meant in these namespaces. From another one it is 0 with a mark: a process
// that nobody can prove dead.
func (s system) identity(namespaces uint64) identity {
	if s.pid == 0 || s.namespaces != namespaces {
		return 1 << pidBits
	}
	return identity(s.start<<pidBits | uint64(s.pid))
}

// known tells whether the process can be looked up.
func (id identity) known() bool { return id&(1<<pidBits-1) != 0 && id != gone }

func (id identity) pid() int      { return int(id & (1<<pidBits - 1)) }
func (id identity) start() uint64 { return uint64(id >> pidBits) }

// dead tells whether the process of id has certainly ended. In doubt it has not:
// taking a role from a living process would let two write the same memory. Only a
// process that has an identity in the ring itself may judge, since the number means
// another process elsewhere.
func (r *Ring) dead(id identity) bool {
	return id.known() && r.self.known() && id != r.self && ended(id.pid(), id.start())
}
