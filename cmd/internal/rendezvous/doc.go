// Package rendezvous brings gshm send and gshm recv together at a ring (package shmring),
// and gshm pub and gshm sub at a broadcast. It copes with processes that die meanwhile.
//
// Package shmring finds, makes and awaits the ring. This package adds what a single
// exchange needs and a ring in lasting use does not:
//
//   - An exchange begins with a ring of its own. A side with Create replaces a ring whose
//     processes have all died. It also replaces a ring that nobody has ever joined and
//     nobody has open, because its maker was killed.
//   - The maker removes the object as soon as both sides are there, so that not even
//     SIGKILL leaves it behind.
//   - Errors are sentences about the object.
//
// The publisher and the subscribers of gshm pub and gshm sub meet at a broadcast. Only the
// publisher makes it, and removes it when it ends, because subscribers come and go.
package rendezvous
