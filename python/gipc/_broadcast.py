"""Messages from one writer to many readers."""

from __future__ import annotations

import ctypes
import errno
from contextlib import contextmanager
from ctypes import c_uint64, c_void_p
from dataclasses import dataclass
from typing import Iterator, Optional

from ._library import Mismatch, SubscriberStruct, allocate, check, failure, lib, wait
from ._memory import Bytes, Claim, Handle, Memory, Place, open_descriptor, open_or_make, usable

BLOCK = 1
"""The writer waits for the reader, which receives every message."""

LATEST = 2
"""The reader may lose messages, and goes on with the newest; lost counts them."""

_CAPACITY = 1 << 20
_OLDEST = 1


@dataclass(frozen=True)
class Subscriber:
    """A reader as the writer sees it. The values come from memory that the reader writes."""

    label: str
    pid: int
    pid_namespace: int
    behind: int  # messages that it has not received yet
    lost: int


class SlowReader(TimeoutError):
    """The writer ran out of time while it waited for a reader that blocks."""

    def __init__(self, reader: Subscriber) -> None:
        who = f"{reader.label!r}, process {reader.pid}, is {reader.behind} messages behind"
        super().__init__(errno.ETIMEDOUT, f"the reader {who}")
        self.reader = reader


class Broadcast(Place):
    """A broadcast in the POSIX object with a name. The arguments are those of Ring."""

    def __init__(
        self, name: str, *, capacity: Optional[int] = None, mode: int = 0o600, create: bool = True
    ) -> None:
        size = usable(capacity or _CAPACITY)

        def lay_out(memory: Memory) -> None:
            broadcast = allocate("broadcast")
            result = lib.broadcast_create(broadcast, memory.base, memory.size, memory.struct.fd, 0, size)
            check(result, f"make {name}")
            lib.broadcast_close(broadcast)

        self._open(open_or_make(name, lib.broadcast_size(size), mode, create, lay_out), name)
        if capacity is not None and self.capacity != capacity:
            have = self.capacity
            self.close()
            raise Mismatch(errno.EPROTOTYPE, f"{name} has a capacity of {have} bytes")

    @classmethod
    def from_descriptor(cls, fd: int) -> "Broadcast":
        """Open the broadcast in a file that was inherited or received, such as a memfd."""
        broadcast = cls.__new__(cls)
        broadcast._open(open_descriptor(fd), None)
        return broadcast

    def _open(self, memory: Memory, name: Optional[str]) -> None:
        super().__init__(memory, name)
        self._broadcast = allocate("broadcast")
        result = lib.broadcast_open(self._broadcast, memory.base, memory.size, memory.struct.fd, 0)
        check(result, f"open {name or 'the broadcast'}")

    @property
    def capacity(self) -> int:
        """Bytes of messages that are kept. Each message takes at least 256."""
        return 2 * self.max_message

    @property
    def max_message(self) -> int:
        """The length of the longest message."""
        return int(lib.broadcast_max_message(self._broadcast))

    def writer(self) -> "Writer":
        """Join as the writer. Busy: another writer is alive."""
        return Writer(self._mapped(), self._broadcast)

    def subscribe(self, policy: int = BLOCK, *, from_oldest: bool = False, label: str = "") -> "Subscription":
        """Join as a reader with the policy BLOCK or LATEST. The label, of up to 32 bytes,
        tells people who it is. With from_oldest the reader begins with the oldest message
        that is kept, otherwise with the next one sent. Busy: there are 64 readers, all
        alive."""
        return Subscription(self._mapped(), self._broadcast, policy, from_oldest, label)

    def close(self) -> None:
        """Close the broadcast. Its writer and readers stay, and keep the memory mapped."""
        if self._memory is not None:
            lib.broadcast_close(self._broadcast)
            self._memory = None


class Writer(Handle):
    """Sends messages to all readers."""

    def __init__(self, memory: Memory, broadcast: ctypes.Array) -> None:
        self._struct = allocate("broadcast_writer")
        self._memory = memory
        check(lib.broadcast_join_writer(self._struct, broadcast), "join as the writer")
        super().__init__()

    def _forget(self) -> None:
        lib.broadcast_forget_writer(self._struct)

    def _check(self, result: int, what: str) -> None:
        slow = self.slowest() if result == -errno.ETIMEDOUT else None
        if slow is not None:
            raise SlowReader(slow)
        check(result, what)

    def send(self, msg: Bytes, timeout: Optional[float] = None) -> None:
        """Send a copy of a message. It waits until the living readers that block have
        received what it overwrites. SlowReader, a TimeoutError; TooLarge; Closed."""
        if isinstance(msg, bytes):
            result = wait(lib.broadcast_send, self._struct, msg, len(msg), timeout=timeout)
            if result < 0:
                self._check(result, "send")
            return
        data = memoryview(msg).cast("B")
        with self.claim(len(data), timeout) as view:
            view[:] = data

    def claim(self, n: int, timeout: Optional[float] = None) -> Claim:
        """Reserve room for a message of n bytes, and write it in place: see Producer.claim."""
        at = c_void_p()
        self._check(wait(lib.broadcast_claim, self._struct, n, at, timeout=timeout), "claim")
        offset = (at.value or 0) - self._memory.base
        return Claim(
            self._memory.view[offset : offset + n],
            lambda used: lib.broadcast_commit(self._struct, used),
            lambda: lib.broadcast_abort(self._struct),
        )

    def slowest(self) -> Optional[Subscriber]:
        """Return the reader that is furthest behind among those that block."""
        s = SubscriberStruct()
        if not lib.broadcast_slowest(self._struct, s):
            return None
        return Subscriber(s.label.decode(errors="replace"), s.pid, s.pid_namespace, s.behind, s.lost)

    def close(self) -> None:
        """Leave the broadcast. Readers see the end after the last message."""
        self._left(lib.broadcast_leave_writer(self._struct))


class Subscription(Handle):
    """Receives messages of a broadcast."""

    def __init__(
        self, memory: Memory, broadcast: ctypes.Array, policy: int, from_oldest: bool, label: str
    ) -> None:
        self._struct = allocate("broadcast_reader")
        self._memory = memory
        self._buffer = ctypes.create_string_buffer(4096)
        self._length = c_uint64()
        flags = _OLDEST if from_oldest else 0
        check(lib.broadcast_subscribe(self._struct, broadcast, policy, flags, label.encode()), "subscribe")
        super().__init__()

    def _forget(self) -> None:
        lib.broadcast_forget_reader(self._struct)

    def receive(self, timeout: Optional[float] = None) -> bytes:
        """Return a copy of the next message, always a whole one.

        EOFError: the writer has left, and everything was received. PeerDied: the writer has
        died. Called again, it waits for another writer. TimeoutError."""
        while True:
            buffer, length = self._buffer, self._length
            result = wait(lib.broadcast_read, self._struct, buffer, len(buffer), length, timeout=timeout)
            if result > 0:
                return ctypes.string_at(buffer, length.value)
            if result == 0:
                raise EOFError("the writer has left")
            if result != -errno.EMSGSIZE:
                raise failure(result, "receive")
            self._buffer = ctypes.create_string_buffer(length.value)

    @contextmanager
    def view(self, timeout: Optional[float] = None) -> Iterator[memoryview]:
        """Receive the next message in place, for a with statement, and fail like receive.

        With BLOCK the message stays until the end of the statement. With LATEST it may
        change at any time: then the end of the statement raises Overwritten, and the
        message counts as lost. Throw away what you made of it."""
        at = c_void_p()
        result = wait(lib.broadcast_receive, self._struct, at, self._length, timeout=timeout)
        if result == 0:
            raise EOFError("the writer has left")
        check(result, "receive")
        offset = (at.value or 0) - self._memory.base
        yield self._memory.readonly[offset : offset + self._length.value]
        check(lib.broadcast_release(self._struct), "release")

    def __iter__(self) -> Iterator[bytes]:
        """Receive to the end."""
        while True:
            try:
                yield self.receive()
            except EOFError:
                return

    @property
    def lost(self) -> int:
        """How many messages were overwritten before this reader received them."""
        return int(lib.broadcast_lost(self._struct))

    @property
    def next(self) -> int:
        """The number of the message that comes next; the first of a broadcast is 0."""
        return int(lib.broadcast_next(self._struct))

    def close(self) -> None:
        """Leave the broadcast. The writer no longer waits for this reader."""
        self._left(lib.broadcast_leave_reader(self._struct))
