// Package shmring moves messages and byte streams between processes through memory
// that they share, without locks and, while nobody has to sleep, without system
// calls. Processes meet in a ring by its name:
//
//	ring, err := shmring.OpenOrCreate(ctx, "/frames", nil)
//	defer ring.Close()
//
//	p, err := ring.JoinProducer()
//	defer p.Close()
//	claim, err := p.Claim(ctx, len(msg))
//	copy(claim.Bytes(), msg)
//	err = claim.Commit()
//
//	c, err := ring.JoinConsumer() // in another process
//	defer c.Close()
//	for msg, err := range c.Messages(ctx) {
//		... // msg is the ring's memory, valid until the next turn
//	}
//
// CreateIn and OpenIn take a *posix.Mapping or a *sysv.Attachment, which stays mapped
// while somebody uses the ring; Create and Open take a slice of memory of any origin.
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
// after as long as the consumer has received nothing, 0.15 s at least and 0.4 s at most
// (5 s if both are in one process).
//
// A consumer at the heels of its producers slows both down, for each message takes
// the cache lines of the next from those who are about to write them. It keeps a
// distance: where messages come at some millions a second and the ring is empty, it
// looks again after up to some 20 µs. Slower ones are seen within a microsecond or two.
//
// A side that sleeps for more than a moment is woken by the kernel when a process of
// the other side ends (pidfd_open(2), one descriptor and one goroutine for each, until the
// call returns), and looks for other deaths every 0.4 s. Where it can't be woken (before
// Linux 5.10, and for processes of other pid namespaces) it looks every 0.15 s.
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
// received; what it had claimed is withdrawn, and holds up the others for 0.5 s at
// most. A side that waits learns within 0.5 s that there is nobody left to wait for:
// ErrPeerDied. While other producers go on, Members().Died is where it shows that one
// of several has died. What a consumer had received but not released is received again by the
// next, so after a death a message may be seen twice by consumers, never lost.
//
// # Death
//
// The kernel says who lives. Each Producer and Consumer has an open file description of
// its own with a lock on one byte of it (F_OFD_SETLK), which is released when the process
// has ended or replaced itself by execve(2), and which all others see: also those in
// other pid or user namespaces, other containers or pods. A process that is stopped
// lives. So does one whose goroutine has forgotten its handle.
//
// The file is the one that the memory is mapped from: a POSIX object, a memfd, a file. It
// is found in /proc/self/maps. Processes that share it need to share nothing else. If the
// memory has no file that can be opened by name or through a descriptor of this process,
// as System V segments and anonymous memory, Create takes the file of the IPC namespace
// instead, and only processes of this namespace can join. So keep the descriptor of a
// memfd open until Create and Open have returned. A process that can't join, and
// whose death others would not see, gets ErrForeign from Open.
//
// A ring in a file on a disk may be left from before the system was started, when what was
// written last may be missing: ErrStale.
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
// Whoever can open the file with the locks, which in the case of an IPC namespace is every
// process in it, can hold locks too: a dead process then seems to live. Nobody can make a
// living one seem dead.
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
