// Package rendezvous brings gshm send and gshm recv together at a ring (package shmring),
// and gshm pub and gshm sub at a broadcast, whoever makes it and whoever dies meanwhile.
//
// Package shmring finds, makes and awaits the ring. This package adds what an exchange
// needs, as opposed to a ring that programs keep using:
//
//   - An exchange begins with a ring of its own. A side that may create replaces a ring
//     whose processes have all died, and one that nobody has ever joined and nobody has
//     open: its maker was killed.
//   - The maker removes the object as soon as both sides are there, so that not even
//     SIGKILL leaves it behind.
//   - Errors are sentences about the object.
//
// The publisher and the subscribers of gshm pub and gshm sub meet at a broadcast. Only the
// publisher makes one, and removes it when it ends, since subscribers come and go.
package rendezvous
