// Package relay copies the messages of a ring (package shmring) into rings on other
// machines, over NATS.
//
//	producers ─► ring ─► Send ─► NATS server ─► Receive ─► ring ─► consumer
//	                │◄── released ◄── acknowledged ◄──┘ committed with its mark
//
// Send takes messages from a ring and publishes them in batches on a subject. Receive
// commits each batch into its own ring, together with a mark (shmring.Mark) that says which
// ring the messages come from and up to which position, and only then acknowledges it. Send
// releases messages when every route has acknowledged them.
//
// # Guarantees
//
// While both rings live, each message arrives exactly once and in order, whoever of the two
// relays, the NATS server or the network dies, and whenever. The id of a ring and a position
// in it name a message for ever; whatever arrives twice is recognised by its position, and
// whatever is missing is sent again.
//
// If the receiving ring is lost, because its machine restarts or it is removed, the messages
// that it held are lost with it. Send goes on with the ring that takes its place, and the
// messages that were not acknowledged may have been in both. If the sending ring is lost, so
// are the messages that were not acknowledged.
//
// A subject belongs to one sending and one receiving ring. Receive refuses to serve a
// subject that another ring serves already, and refuses a second sender while the first one
// answers.
//
// # Back-pressure
//
// A full receiving ring delays acknowledgements, then the sending ring fills, and then its
// producers wait. Nothing else holds messages: a Send keeps at most 8 MiB, or one message,
// on their way.
//
// # Trust
//
// Whoever may publish on the subject can put messages into the receiving ring; whoever may
// subscribe to it can read them. Restrict both with the permissions of NATS. Package relay
// checks all that it receives: a peer that breaks the protocol can make messages wrong, but
// cannot make a program fail or use more memory than one message of its ring.
package relay
