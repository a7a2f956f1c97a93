"""Messages between processes through shared memory, shared with Go, C and C++.

    import gipc

    with gipc.Ring("/jobs") as ring, ring.producer() as out:
        out.send(b"hello", timeout=1.0)

A Ring takes messages from one or more producers to one consumer. A Broadcast takes each
message of one writer to many readers. A Cell holds the latest value of a type. They need
libgipc, which comes with this module.

Timeouts are in seconds; None waits for ever, 0 does not wait. A call that runs out of time
raises TimeoutError. Signal handlers run while a call waits, so Ctrl-C works.

A handle (producer, consumer, writer, subscription, cell) is for one thread at a time. Close
it, or use it in a ``with`` statement: otherwise other processes believe that it is in use
until this process ends. A child made by fork has no handles; its parent keeps them.

A memoryview of a message is the shared memory itself. The memory stays mapped while such a
view exists, but the view shows the message only for as long as the method's text says.
"""

from ._broadcast import BLOCK, LATEST, Broadcast, SlowReader, Subscriber, Subscription, Writer
from ._cell import Cell
from ._library import (
    Busy,
    Closed,
    Corrupt,
    Error,
    Foreign,
    Mismatch,
    NotFound,
    Overwritten,
    PeerDied,
    Stale,
    TooLarge,
)
from ._ring import Consumer, Producer, Ring

__all__ = [
    "BLOCK",
    "LATEST",
    "Broadcast",
    "Busy",
    "Cell",
    "Closed",
    "Consumer",
    "Corrupt",
    "Error",
    "Foreign",
    "Mismatch",
    "NotFound",
    "Overwritten",
    "PeerDied",
    "Producer",
    "Ring",
    "SlowReader",
    "Stale",
    "Subscriber",
    "Subscription",
    "TooLarge",
    "Writer",
]
