// Package shmring moves messages and byte streams between processes through memory
// that they share, without locks and, while nobody has to sleep, without system
// calls. The memory is a *posix.Mapping or a *sysv.Attachment, which stays mapped while
// somebody uses the ring, or (Create and Open) a slice of memory of any origin.
//
//	ring, err := shmring.CreateIn(mem, shmring.Options{Producers: shmring.Many})
//	...
//	ring, err := shmring.OpenIn(mem) // in another process
//
//	p, err := ring.Producer()
//	defer p.Close()
//	claim, err := p.Claim(ctx, len(msg))
//	copy(claim.Bytes(), msg)
//	err = claim.Commit()
//
//	c, err := ring.Consumer()
//	defer c.Close()
//	for msg, err := range c.Messages(ctx) {
//		... // msg is the ring's memory, valid until the next turn
//	}
//
// A ring has one consumer and either one producer at a time or up to 64. A message
// may have any length up to half of the capacity. Those of one producer arrive in
// the order in which they were claimed; so do those of several, as far as one claim
// was over before the next began. Producer.Writer and Consumer.Reader make a byte
// stream of it.
//
// # Waiting
//
// A side that must wait spins for a while, for as long as this has paid off lately
// and at most 0.1 ms, unless only one processor may run the process; then it sleeps
// in futex(2). The other side makes a system call only when somebody sleeps. A
// producer that found the ring full is woken when half of what was in it has been
// received. If the consumer stops before that, the producer finds the room that there is
// after as long as the consumer has received nothing, 0.15 s at least and 5 s at most.
//
// A consumer at the heels of its producers slows both down, for each message takes
// the cache lines of the next from those who are about to write them. It keeps a
// distance: where messages come at some millions a second and the ring is empty, it
// looks again after up to some 20 µs. Slower ones are seen within a microsecond or two.
//
// Who sleeps for more than a moment is told by the kernel when a process of the other
// side ends (pidfd_open(2), one descriptor and one goroutine for each, until the call
// returns) and comes to wake only every 5 s. Before Linux 5.10 it wakes every 0.15 s.
//
// A waiting goroutine occupies a thread of the operating system. Waiting ends with
// its context, for which SIGURG is used; see package sysv.
//
// # Roles and their end
//
// It is like a named pipe. The consumer sees io.EOF when all messages have been
// received and every producer that had joined has closed, also if that is one of
// several that are to come; later another one may join, and Receive goes on. When the consumer has closed, producers get ErrClosed
// until there is another.
//
// A process may end without closing, at any moment. What it had committed will be
// received; what it had claimed is withdrawn, and holds up the others for 0.2 s at
// most. A side that waits learns within 0.2 s that there is nobody left to wait for:
// ErrPeerDied. While other producers go on, Members().Died is where it shows that one
// of several has died. What a consumer had received but not released is received again by the
// next, so after a death a message may be seen twice by consumers, never lost.
//
// Whether a process lives is told by its number and start time in /proc. Where that
// does not tell, nobody is ever declared dead: between different pid or time
// namespaces, or without a /proc of the own one. There, bound the waiting by a
// context. Two more that look alive: a process that replaced itself by execve(2), and a
// goroutine that forgot its handle while its process goes on.
//
// # Trust
//
// Everything that another process may have written is checked before it is used. A
// mad or hostile process with the memory in its hands can make calls return
// ErrCorrupt or wrong messages, make messages disappear, or keep a call waiting
// until its context ends; it can not cause an access outside the memory, a panic, or
// a loop without end. It can change a message while it is read: copy first what is to
// be checked. It can also truncate a file that is mapped. Create and Open then return
// ErrFault; in any other call the access is a fault, which debug.SetPanicOnFault makes
// a panic.
//
// A ring costs memory for its records only: joining one reads no more than that,
// however large its header says it is.
//
// # Layout
//
// docs/ring.md specifies the memory, so that programs in other languages can join. It
// is the same on all architectures of one byte order. Of those that Go supports, mips
// (32 bits) and arm before version 7 can't take part, since their 64-bit atomic
// operations are not atomic for other processes; there, and on systems other than
// Linux, Create and Open return errors.ErrUnsupported.
package shmring
