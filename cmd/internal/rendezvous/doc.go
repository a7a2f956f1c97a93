// Package rendezvous brings two processes together that know nothing but one name: they
// meet at a ring (package shmring) in the object that a REF names, whoever makes it and
// whoever dies meanwhile.
//
// # Protocol
//
// The maker creates the object exclusively with the mode Unfinished, makes the ring in
// it, takes a role, and only then gives the object its own mode. So a process that finds
// an object that is Unfinished and 3 seconds old, or a ring whose processes have all
// died, knows that its maker is dead, discards the object and makes it again. Others wait
// for an object that does not exist, is Unfinished, or has nothing but zeros where the
// ring's header goes: it may be about to get its ring. An object with other contents is
// refused and left as it is.
//
// Anybody can make an object under a name that others will use. Therefore the object's
// owners are checked before it is attached, and again on what was attached.
//
// The maker removes the object as soon as both sides are there, or when it leaves.
//
// # Why not shmring.OpenOrCreate
//
// OpenOrCreate does less than this, and POSIX objects only. It takes a ring or makes one,
// and never waits for a ring that another process is to make; it reports an object
// without a ring at once, although the ring may be on its way; it continues a ring whose
// processes have died, where a new exchange has to begin with an empty one; and its
// Remove refuses while another process has the ring open, which is when a maker must
// remove it here, so that not even SIGKILL leaves the object behind. A segment gets its
// key before it gets its contents, so it needs the protocol above anyway, and POSIX
// objects use the same one.
package rendezvous
