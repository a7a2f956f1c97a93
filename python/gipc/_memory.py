"""Mapped memory, and the base classes of rings, broadcasts and cells."""

from __future__ import annotations

import ctypes
import errno
import os
import weakref
from types import TracebackType
from typing import Callable, Optional, Type, TypeVar, Union

from ._library import ObjectStruct, check, failure, lib

Bytes = Union[bytes, bytearray, memoryview]
T = TypeVar("T", bound="Closing")


class Memory:
    """The memory of an object. It stays mapped until no view of it is left."""

    def __init__(self, struct: ObjectStruct) -> None:
        # A class of its own, so that there can be weak references to it.
        array = type("Array", (ctypes.c_ubyte * struct.size,), {}).from_address(struct.mem)
        weakref.finalize(array, lib.object_close, struct)
        self.struct = struct
        self.base: int = struct.mem
        self.size: int = struct.size
        self.view = memoryview(array).cast("B")
        self.readonly = self.view.toreadonly()


def open_name(name: str) -> Memory:
    struct = ObjectStruct()
    result = lib.object_open(struct, os.fsencode(name))
    if result == -errno.ENOENT:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    check(result, f"open {name}")
    return Memory(struct)


def open_descriptor(fd: int) -> Memory:
    struct = ObjectStruct()
    own = os.dup(fd)
    result = lib.object_adopt(struct, own)
    if result < 0:
        os.close(own)
        raise failure(result, f"map descriptor {fd}")
    return Memory(struct)


def make(name: str, size: int, mode: int, lay_out: Callable[[Memory], None]) -> None:
    """Make an object that has its contents before it has its name."""
    struct = ObjectStruct()
    check(lib.object_make(struct, size, mode), f"make {name}")
    memory = Memory(struct)
    lay_out(memory)
    result = lib.object_publish(struct, os.fsencode(name))
    if result != -errno.EEXIST:  # EEXIST: another process was faster
        check(result, f"make {name}")


def usable(capacity: int) -> int:
    """Return the capacity. ValueError: nothing can have it."""
    if capacity < 4096 or capacity & (capacity - 1):
        raise ValueError(f"capacity {capacity} is not a power of two from 4096 on")
    return capacity


def open_or_make(name: str, size: int, mode: int, create: bool, lay_out: Callable[[Memory], None]) -> Memory:
    while True:
        try:
            return open_name(name)
        except FileNotFoundError:
            if not create:
                raise
        make(name, size, mode, lay_out)


class Closing:
    """A base class of objects that a with statement closes at its end."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self: T) -> T:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


class Place(Closing):
    """A ring, broadcast or cell in an object, which may have a name."""

    _memory: Optional[Memory]

    def __init__(self, memory: Memory, name: Optional[str]) -> None:
        self._memory = memory
        self._name = name

    def _mapped(self) -> Memory:
        if self._memory is None:
            raise failure(-errno.EBADF, "use of what is closed")
        return self._memory

    def _named(self) -> bytes:
        if self._name is None:
            raise ValueError("it was opened without a name")
        return os.fsencode(self._name)

    def remove(self) -> None:
        """Remove the name. Busy: another process has it open. To leave the removal to the
        last process, use close_and_remove."""
        check(lib.object_remove(self._mapped().struct, self._named()), f"remove {self._name}")

    def close_and_remove(self) -> None:
        """Close, and remove the name if no other process has it open: if all processes
        leave in this way, the last one removes it. Busy: a handle of this object is open."""
        if any(handle is not self and handle._memory is self._mapped() for handle in _handles):
            raise failure(-errno.EBUSY, f"remove {self._name}: close its handles first")
        check(lib.object_remove_last(self._mapped().struct, self._named()), f"remove {self._name}")
        self.close()

    def unlink(self) -> None:
        """Remove the name at once. Processes that have it open can still use it."""
        check(lib.object_unlink(self._mapped().struct, self._named()), f"unlink {self._name}")


_handles: "weakref.WeakSet[Handle]" = weakref.WeakSet()


def _forget_all() -> None:
    for handle in list(_handles):
        handle._forget()
    _handles.clear()


# A child of fork shares the kernel's locks that show that a handle is alive.
os.register_at_fork(after_in_child=_forget_all)


class Handle(Closing):
    """A role that this process has until close. A child of fork does not have it."""

    _memory: Optional[Memory]

    def __init__(self) -> None:
        _handles.add(self)

    def _left(self, result: int) -> None:
        """End the handle; result is that of leaving. EBADF: it was closed before."""
        _handles.discard(self)
        if result != -errno.EBADF:
            check(result, "leave")

    def _forget(self) -> None:
        raise NotImplementedError


class Claim:
    """Room for a message that is written in place: see Producer.claim and Writer.claim."""

    def __init__(self, view: memoryview, commit: Callable[[int], int], abort: Callable[[], int]) -> None:
        self.view = view
        self._commit = commit
        self._abort = abort
        self._open = True

    def _end(self) -> bool:
        was, self._open = self._open, False
        try:
            self.view.release()
        except BufferError:
            pass  # an array of the caller still shows the memory
        return was

    def commit(self, used: Optional[int] = None) -> None:
        """Send the first used bytes of the claim, or all of it if used is None."""
        n = len(self.view) if used is None else used
        if not self._open:
            raise ValueError("the claim has ended")
        check(self._commit(n), "commit")
        self._end()

    def abort(self) -> None:
        """Give the room back."""
        if self._end():
            check(self._abort(), "abort")

    def __enter__(self) -> memoryview:
        return self.view

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if kind is not None:
            self.abort()
        elif self._open:
            self.commit()
