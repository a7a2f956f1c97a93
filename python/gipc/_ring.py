"""Messages from one or more producers to one consumer."""

from __future__ import annotations

import ctypes
import errno
from ctypes import c_char_p, c_uint64, c_void_p
from itertools import islice
from typing import Iterable, Iterator, List, Optional, Tuple

from ._library import Mismatch, allocate, check, failure, lib, wait
from ._memory import Bytes, Claim, Handle, Memory, Place, open_descriptor, open_or_make, usable

_CAPACITY = 1 << 20
_BATCH = 256


class Ring(Place):
    """A ring in the POSIX object with a name such as "/jobs". It is made if there is none.

    capacity is the number of bytes for messages, a power of two from 4096 on. If it is
    None, a new ring has 1 MiB, and an existing ring may have any capacity. Mismatch: the
    existing ring has another capacity. With many, a new ring is for up to 64 producers at a
    time instead of one. Without create, a missing ring raises FileNotFoundError.
    """

    def __init__(
        self,
        name: str,
        *,
        capacity: Optional[int] = None,
        many: bool = False,
        mode: int = 0o600,
        create: bool = True,
    ) -> None:
        size = usable(capacity or _CAPACITY)

        def lay_out(memory: Memory) -> None:
            ring = allocate("ring")
            check(
                lib.ring_create(ring, memory.base, memory.size, memory.struct.fd, 0, size, int(many)),
                f"make {name}",
            )
            lib.ring_close(ring)

        self._open(open_or_make(name, lib.ring_size(size), mode, create, lay_out), name)
        if capacity is not None and self.capacity != capacity:
            have = self.capacity
            self.close()
            raise Mismatch(errno.EPROTOTYPE, f"{name} has a capacity of {have} bytes")

    @classmethod
    def from_descriptor(cls, fd: int) -> "Ring":
        """Open the ring in a file that was inherited or received, such as a memfd."""
        ring = cls.__new__(cls)
        ring._open(open_descriptor(fd), None)
        return ring

    def _open(self, memory: Memory, name: Optional[str]) -> None:
        super().__init__(memory, name)
        self._ring = allocate("ring")
        result = lib.ring_open(self._ring, memory.base, memory.size, memory.struct.fd, 0)
        check(result, f"open {name or 'the ring'}")

    @property
    def capacity(self) -> int:
        """Bytes for messages. Each message takes a multiple of 64."""
        return 2 * self.max_message

    @property
    def max_message(self) -> int:
        """The length of the longest message."""
        return int(lib.ring_max_message(self._ring))

    def producer(self) -> "Producer":
        """Join as a producer. Busy: the ring has all its producers, and they are alive."""
        return Producer(self._mapped(), self._ring)

    def consumer(self) -> "Consumer":
        """Join as the consumer. Busy: another consumer is alive."""
        return Consumer(self._mapped(), self._ring)

    def close(self) -> None:
        """Close the ring. Its producers and consumers stay, and keep the memory mapped."""
        if self._memory is not None:
            lib.ring_close(self._ring)
            self._memory = None


class Producer(Handle):
    """Puts messages into a ring."""

    def __init__(self, memory: Memory, ring: ctypes.Array) -> None:
        self._struct = allocate("ring_producer")
        self._memory = memory
        check(lib.ring_join_producer(self._struct, ring), "join as a producer")
        super().__init__()

    def _forget(self) -> None:
        lib.ring_forget_producer(self._struct)

    def send(self, msg: Bytes, timeout: Optional[float] = None) -> None:
        """Send a copy of a message. It waits while the ring is full.

        TimeoutError; TooLarge; Closed: the consumer has left; PeerDied: it has died."""
        if isinstance(msg, bytes):
            result = wait(lib.ring_send, self._struct, msg, len(msg), timeout=timeout)
            if result < 0:
                raise failure(result, f"send {len(msg)} bytes")
            return
        data = memoryview(msg).cast("B")
        with self.claim(len(data), timeout) as view:
            view[:] = data

    def send_many(self, msgs: Iterable[bytes], timeout: Optional[float] = None) -> int:
        """Send copies of many messages, faster than one by one, and return their number.
        The timeout is for each message that has to wait. If this raises, some messages may
        have been sent."""
        sent = 0
        source = iter(msgs)
        while batch := list(islice(source, _BATCH)):
            sent += len(batch)
            while batch:
                pointers = (c_char_p * len(batch))(*batch)
                lengths = (c_uint64 * len(batch))(*map(len, batch))
                result = wait(lib.ring_send_batch, self._struct, pointers, lengths, len(batch), timeout=timeout)
                del batch[: check(result, "send")]
        return sent

    def claim(self, n: int, timeout: Optional[float] = None) -> Claim:
        """Reserve room for a message of n bytes, and write it in place:

            with out.claim(frame.nbytes) as view:
                numpy.frombuffer(view, frame.dtype)[:] = frame.ravel()

        The end of the with statement sends the message; an exception gives it up.
        Claim.commit sends a shorter message. A producer has one claim at a time."""
        at = c_void_p()
        check(wait(lib.ring_claim, self._struct, n, at, timeout=timeout), "claim")
        offset = (at.value or 0) - self._memory.base
        view = self._memory.view[offset : offset + n]
        return Claim(view, lambda used: lib.ring_commit(self._struct, used), lambda: lib.ring_abort(self._struct))

    def check_consumer(self) -> None:
        """Raise Closed if the consumer has left, PeerDied if it has died."""
        check(lib.ring_check_consumer(self._struct), "check")

    def close(self) -> None:
        """Leave the ring. The consumer still receives what was sent."""
        self._left(lib.ring_leave_producer(self._struct))


class Consumer(Handle):
    """Takes messages out of a ring."""

    def __init__(self, memory: Memory, ring: ctypes.Array) -> None:
        self._struct = allocate("ring_consumer")
        self._memory = memory
        self._pointers = (c_void_p * _BATCH)()
        self._lengths = (c_uint64 * _BATCH)()
        self._there: List[Tuple[int, int]] = []  # received and not yet returned, last first
        check(lib.ring_join_consumer(self._struct, ring), "join as the consumer")
        super().__init__()

    def _forget(self) -> None:
        lib.ring_forget_consumer(self._struct)

    def _fill(self, most: int, timeout: Optional[float]) -> None:
        result = wait(lib.ring_receive_batch, self._struct, self._pointers, self._lengths, most, timeout=timeout)
        if result == 0:
            raise EOFError("all producers have left")
        n = check(result, "receive")
        self._there = list(zip(self._pointers[n - 1 :: -1], self._lengths[n - 1 :: -1]))

    def _next(self) -> memoryview:
        at, n = self._there.pop()
        offset = at - self._memory.base
        return self._memory.readonly[offset : offset + n]

    def receive(self, timeout: Optional[float] = None) -> memoryview:
        """Return a view of the next message in the ring, which is valid until the next call
        for this consumer. bytes(msg) is a copy.

        EOFError: all producers have left, and everything was received. PeerDied: at least
        one of them has died. Called again, it waits for others. TimeoutError."""
        if not self._there:
            self._fill(1, timeout)
        return self._next()

    def __iter__(self) -> Iterator[memoryview]:
        """Receive to the end, in batches, which is faster. Each message is valid until the
        next one. If this process dies, the next consumer may receive messages of the last
        batch again."""
        while True:
            try:
                if not self._there:
                    self._fill(_BATCH, None)
            except EOFError:
                return
            while self._there:
                yield self._next()

    def release(self) -> None:
        """Give the memory of received messages back to the producers, as receive does. It
        does nothing while an iteration has messages left."""
        if not self._there:
            lib.ring_release(self._struct)

    def close(self) -> None:
        """Leave the ring. The next consumer receives the messages that an iteration has left."""
        if self._there:
            lib.ring_return(self._struct, self._there[-1][0])
            self._there = []
        self._left(lib.ring_leave_consumer(self._struct))
