// Package shmring passes messages and byte streams between processes through shared
// memory. It takes no locks, and makes no system calls unless a side has to sleep.
// Processes meet in a ring by its name:
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
// OpenOrCreateKey does the same under a System V key. Await and AwaitKey wait for a ring
// that another process makes. The last process to leave can remove the ring (Ring.Remove);
// once all processes have opened the ring, Ring.Unlink ensures that nothing stays behind,
// even if they are killed.
//
// CreateIn and OpenIn use a *posix.Mapping or a *sysv.Attachment, and keep it mapped while
// the ring is in use. Create and Open use a slice of memory of any origin.
//
// A ring has one consumer, and either one producer at a time or up to 64. A message can be
// as long as half of the capacity. The messages of a producer arrive in the order of its
// claims. Messages of several producers do too, if one claim ended before the next began.
// Producer.Writer and Consumer.Reader turn a ring into a byte stream.
//
// # Without a name
//
// A name remains if all processes are killed. CreateUnnamed makes a ring without a name,
// which is handed over instead: to a child process by inheritance, to any process through a
// Unix-domain socket.
//
//	ring, err := shmring.CreateUnnamed("frames", nil)
//	ring.Object().PassTo(&cmd.ExtraFiles) // the child calls posix.Inherit(3)
//	err = ring.Object().SendTo(conn)      // the other side calls posix.ReceiveObject(conn)
//
//	ring, err := shmring.OpenUnnamed(object) // in the other process
//
// The kernel frees the memory, and all messages, as soon as no process has it open or mapped
// and no descriptor of it is in a socket. The memory is sealed, so nobody can truncate it.
// execve(2) closes the descriptors of this package: a process can hand the ring to a
// program that it starts only with PassTo. Roles end at execve(2) in any case.
//
// # Many readers, latest values, types
//
// A Broadcast passes each message of one writer to up to 64 readers, and a Cell holds the
// latest value of a type. A Chan is a ring whose messages are values of a type.
//
//	b, err := shmring.OpenOrCreateBroadcast(ctx, "/frames", nil)
//	w, err := b.JoinWriter(nil)
//	sub, err := b.Subscribe(shmring.Latest, nil) // or Block
//
//	cell, err := shmring.OpenOrCreateCell[Config](ctx, "/config", nil)
//	config, version, err := cell.Load()
//
//	jobs, err := shmring.OpenOrCreateChan[Job](ctx, "/jobs", 64, nil)
//
// # Requests and replies
//
// A Service passes requests of up to 64 clients to one server. Each Call has the deadline
// of its context, which the server learns, and is served at most once. If the server dies
// meanwhile, the caller gets ErrPeerDied, or ErrNoServer if no server had taken the
// request. A late reply is thrown away. A client that dies, or does not fetch its replies,
// stalls nobody.
//
//	service, err := shmring.OpenOrCreateService(ctx, "/prices", shmring.ServiceLimits{}, nil)
//
//	server, err := service.JoinServer()
//	err = server.Serve(ctx, func(ctx context.Context, request []byte) (reply []byte, err error) {
//		... // in several goroutines, if you like
//	})
//
//	client, err := service.JoinClient() // in other processes
//	reply, err := client.Call(ctx, request)
//
// # Several at a time
//
// A Selector waits for any of these: messages of rings, Chans and broadcasts, requests,
// newer values of cells, room for a message. It returns which is ready, and receives nothing.
//
//	var s shmring.Selector
//	i, err := s.Select(ctx, consumer, sub, cell.Newer(version))
//	switch i {
//	case 0:
//		msg, ok, err := consumer.TryReceive()
//		...
//
// A Notifier does the same for a program that waits in poll(2) or epoll(7): its descriptor
// becomes readable. The other side needs to do nothing for either.
//
// The following sections describe rings, but apply to all of these types: the writer of a
// Broadcast acts as a producer and each reader as a consumer; the clients of a Service act
// as producers and its server as the consumer. In addition, the calls of these types return
// ErrFault if the memory was truncated.
//
// # Waiting
//
// A side that must wait first spins, for at most 0.1 ms and only as long as that has
// recently paid off; it does not spin if only one processor may run the process. Then it
// sleeps in futex(2). The other side makes a system call only if somebody sleeps. A
// producer that finds the ring full is woken when half of the contents have been received.
// If the consumer stops before that, the producer checks for room itself, once the
// consumer has received nothing for 0.15 to 0.4 s (5 s if both are in one process).
//
// A consumer that follows its producers closely slows both down, because reading each
// message takes the cache line of the next one from the producer about to write it. So if
// some millions of messages arrive per second and the ring is empty, the consumer waits up
// to some 20 µs before it checks again. Slower messages are seen within a microsecond or
// two.
//
// If a side sleeps for more than a moment, the kernel wakes it when a process of the other
// side ends. This uses pidfd_open(2), with one descriptor and one goroutine for each
// process until the call returns. The side also checks by itself every 0.4 s, for example
// because the kernel does not report an execve(2). Where the kernel cannot wake it (before
// Linux 5.10, and for processes in other PID namespaces) it checks every 0.15 s.
//
// A waiting goroutine occupies an operating-system thread. Its context ends the wait, by
// means of SIGURG; see package sysv.
//
// # Roles and their end
//
// A ring behaves like a named pipe. The consumer gets io.EOF when every producer that has
// joined has closed and all messages have been received, even if more producers are to
// come. Another producer may join later, and Receive continues. After the consumer has
// closed, producers get ErrClosed until there is another consumer.
//
// A process may end without closing, at any moment. Its committed messages will be
// received. Its open claim is withdrawn, which delays other messages by at most 0.5 s. If
// nobody is left to wait for, a waiting side gets ErrPeerDied within 0.5 s. If one of
// several producers dies and others go on, Members().Died shows it. The next consumer
// receives again what a dead consumer had received but not released. So after a death a
// message may be seen twice, but is never lost.
//
// Programs that restart one by one set NamedOptions.Outlive. A side then does not get these
// errors, but waits for the next process that takes the other role.
//
// # Death
//
// The kernel shows which processes are alive. Each Producer and Consumer has its own open
// file description with a lock on one byte of a file (F_OFD_SETLK). The kernel releases
// the lock when the process ends or calls execve(2). All other processes see that, even in
// other PID or user namespaces, containers or pods. A stopped process is alive, and so is a
// process that has merely lost its handle.
//
// The memory is mapped from this file: a POSIX object, a memfd or another file, as
// /proc/self/maps shows. Processes need to share nothing else. System V segments and
// anonymous memory have no file that can be opened by name or through a descriptor of this
// process. For them, Create uses the file of the IPC namespace, and only processes in that
// namespace can join. So keep the descriptor of a memfd open until Create and Open have
// returned. Open returns ErrForeign to a process whose death the others could not see.
//
// A ring in a file on a disk may be left from before the system restarted, and its last
// writes may be missing. Open then returns ErrStale.
//
// # Trust
//
// Everything that another process may have written is checked before it is used. A faulty
// or hostile process that can write to the memory can cause ErrCorrupt or wrong messages,
// make messages disappear, or block a call until its context ends. It cannot cause an
// access outside the memory, a panic, or an endless loop. It can change a message while it
// is read, so copy a message before checking it. It can also truncate a mapped file.
// Create and Open then return ErrFault; in other calls the access is a fault, which
// debug.SetPanicOnFault turns into a panic.
//
// A process that can open the file with the locks can also hold them, which makes a dead
// process seem alive. Every process in an IPC namespace can open the file of that
// namespace. No process can make a living one seem dead.
//
// A ring takes memory only for its records. Joining a ring reads only the records, however
// large the header says the ring is.
//
// # Layout
//
// docs/ring.md, docs/broadcast.md and docs/service.md specify the memory, so that programs in
// other languages can join. The layout is the same on all architectures of one byte order.
// 32-bit mips, and arm before version 7, cannot take part, because their 64-bit atomic
// operations are not atomic between processes. There, and on systems other than Linux, Create
// and Open return errors.ErrUnsupported.
package shmring
