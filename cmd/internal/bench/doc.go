// Package bench measures what each way of getting messages from one process to
// another brings on this machine: semaphores over shared memory, the ring and the
// stream of this module, and what the kernel offers.
//
// Every measurement starts two processes anew, which share nothing but what the way
// needs, on one core or on two. Each message is copied out of the sender's memory
// and into the receiver's, whatever lies between.
//
// The round trip is that of one message there and one back, with nothing else under
// way; it includes one reading of the clock, some 25 ns. The rate is that at which
// messages arrive if the sender sends as fast as it can.
package bench
