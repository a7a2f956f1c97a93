// Package bench measures the ways to pass messages between two processes on this
// machine: semaphores over shared memory, this module's ring and stream, and what the
// kernel offers.
//
// Each measurement starts two new processes that share nothing else, on one core or on
// two. Each message is copied out of the sender's memory and into the receiver's.
//
// A round trip is one message and one answer, with nothing else in flight; it includes one
// reading of the clock, about 25 ns. The rate counts arriving messages while the sender
// sends as fast as it can.
package bench
