"""libgipc as ctypes sees it, and its errors as exceptions."""

from __future__ import annotations

import ctypes
import errno
import os
import time
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_uint, c_uint64, c_void_p
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Type


class Error(OSError):
    """A call failed; errno has the reason. The usual reasons have subclasses."""


class Busy(Error):
    """The role is taken by a living process, or something is still in use."""


class Closed(Error):
    """The handle is closed, or the other side has closed."""


class PeerDied(Error):
    """The process on the other side has ended without closing."""


class TooLarge(Error):
    """The message is larger than half the capacity."""


class NotFound(Error):
    """The memory holds something else, or another version of it."""


class Mismatch(Error):
    """The cell holds values of another type, or the capacity differs."""


class Foreign(Error):
    """It was made in another IPC namespace."""


class Stale(Error):
    """It is in a file on a disk, and was made before the system last started."""


class Corrupt(Error):
    """Another process has written something that the layout forbids."""


class Overwritten(Error):
    """The message was overwritten while it was used: throw away what you made of it."""


_CLASSES: Dict[int, Type[Error]] = {
    errno.EBUSY: Busy,
    errno.EBADF: Closed,
    errno.EPIPE: Closed,
    errno.EOWNERDEAD: PeerDied,
    errno.EMSGSIZE: TooLarge,
    errno.ENODATA: NotFound,
    errno.EPROTONOSUPPORT: NotFound,
    errno.ERANGE: NotFound,
    errno.EPROTOTYPE: Mismatch,
    errno.EXDEV: Foreign,
    errno.ESTALE: Stale,
    errno.EUCLEAN: Corrupt,
    errno.ENOBUFS: Overwritten,
}


_TEXTS = {
    errno.EPROTONOSUPPORT: "it is of another version",
    errno.EPROTOTYPE: "it is of another type or capacity",
    errno.EMSGSIZE: "too large: at most half the capacity",
    errno.ENODATA: "the memory holds something else",
}


def failure(result: int, what: str) -> OSError:
    """Return the exception for a result below 0."""
    code = -result
    text = f"{what}: {_TEXTS.get(code) or os.strerror(code)}"
    return _CLASSES[code](code, text) if code in _CLASSES else OSError(code, text)


def check(result: int, what: str) -> int:
    """Return the result, or raise the exception that it stands for."""
    if result < 0:
        raise failure(result, what)
    return result


class ObjectStruct(ctypes.Structure):
    """struct gipc_object."""

    _fields_ = [("mem", c_void_p), ("size", c_uint64), ("fd", c_int)]


class SubscriberStruct(ctypes.Structure):
    """struct gipc_broadcast_subscriber."""

    _fields_ = [
        ("label", ctypes.c_char * 33),
        ("policy", c_uint),
        ("pid", ctypes.c_uint32),
        ("pid_namespace", ctypes.c_uint32),
        ("behind", c_uint64),
        ("lost", c_uint64),
    ]


_OBJECT = POINTER(ObjectStruct)
_NUMBER = POINTER(c_uint64)
_MESSAGE = POINTER(c_void_p)
_MEMORY = [c_void_p, c_void_p, c_uint64, c_int, c_int64]  # handle, mem, size, fd, offset

_ARGUMENTS: Dict[str, list] = {
    "object_open": [_OBJECT, c_char_p],
    "object_adopt": [_OBJECT, c_int],
    "object_make": [_OBJECT, c_uint64, c_uint],
    "object_publish": [_OBJECT, c_char_p],
    "object_remove": [_OBJECT, c_char_p],
    "object_remove_last": [_OBJECT, c_char_p],
    "object_unlink": [_OBJECT, c_char_p],
    "object_close": [_OBJECT],
    "ring_size": [c_uint64],
    "ring_create": [*_MEMORY, c_uint64, c_uint],
    "ring_open": _MEMORY,
    "ring_close": [c_void_p],
    "ring_max_message": [c_void_p],
    "ring_join_producer": [c_void_p, c_void_p],
    "ring_forget_producer": [c_void_p],
    "ring_check_consumer": [c_void_p],
    "ring_claim": [c_void_p, c_uint64, _MESSAGE, c_int64],
    "ring_commit": [c_void_p, c_uint64],
    "ring_abort": [c_void_p],
    "ring_send": [c_void_p, c_char_p, c_uint64, c_int64],
    "ring_send_batch": [c_void_p, c_void_p, c_void_p, c_int, c_int64],
    "ring_leave_producer": [c_void_p],
    "ring_join_consumer": [c_void_p, c_void_p],
    "ring_forget_consumer": [c_void_p],
    "ring_receive_batch": [c_void_p, c_void_p, c_void_p, c_int, c_int64],
    "ring_release": [c_void_p],
    "ring_return": [c_void_p, c_void_p],
    "ring_leave_consumer": [c_void_p],
    "broadcast_size": [c_uint64],
    "broadcast_create": [*_MEMORY, c_uint64],
    "broadcast_open": _MEMORY,
    "broadcast_close": [c_void_p],
    "broadcast_max_message": [c_void_p],
    "broadcast_join_writer": [c_void_p, c_void_p],
    "broadcast_forget_writer": [c_void_p],
    "broadcast_claim": [c_void_p, c_uint64, _MESSAGE, c_int64],
    "broadcast_commit": [c_void_p, c_uint64],
    "broadcast_abort": [c_void_p],
    "broadcast_send": [c_void_p, c_char_p, c_uint64, c_int64],
    "broadcast_slowest": [c_void_p, POINTER(SubscriberStruct)],
    "broadcast_leave_writer": [c_void_p],
    "broadcast_subscribe": [c_void_p, c_void_p, c_uint, c_uint, c_char_p],
    "broadcast_forget_reader": [c_void_p],
    "broadcast_receive": [c_void_p, _MESSAGE, _NUMBER, c_int64],
    "broadcast_release": [c_void_p],
    "broadcast_read": [c_void_p, c_void_p, c_uint64, _NUMBER, c_int64],
    "broadcast_lost": [c_void_p],
    "broadcast_next": [c_void_p],
    "broadcast_leave_reader": [c_void_p],
    "cell_size": [c_uint64],
    "cell_create": [*_MEMORY, c_uint64, c_char_p],
    "cell_open": [*_MEMORY, c_uint64, c_char_p],
    "cell_forget": [c_void_p],
    "cell_close": [c_void_p],
    "cell_load": [c_void_p, c_void_p, _NUMBER],
    "cell_lock": [c_void_p, c_int64],
    "cell_replace": [c_void_p, c_void_p, _NUMBER],
    "cell_unlock": [c_void_p],
    "cell_store": [c_void_p, c_void_p, _NUMBER, c_int64],
    "cell_wait": [c_void_p, c_void_p, _NUMBER, c_int64],
}
_UNSIGNED = ("_size", "_max_message", "_lost", "_next")
_NOTHING = ("object_close", "ring_close", "broadcast_close", "ring_release", "_forget", "_forget_producer")
_NOTHING += ("_forget_consumer", "_forget_writer", "_forget_reader")


def _load() -> ctypes.CDLL:
    """Load the library from where the dynamic linker finds it, or from beside this package."""
    name = "libgipc.so.0"
    beside = [str(folder / name) for folder in list(Path(__file__).resolve().parents)[:4]]
    for path in [name, *beside, f"/usr/local/lib/{name}"]:
        try:
            return ctypes.CDLL(path)
        except OSError:
            pass
    raise ImportError(f"{name} is not installed: the package gipc-lib or make install of gipc does that")


_cdll = _load()
_cdll.gipc_sizeof.argtypes = [c_char_p]
_cdll.gipc_sizeof.restype = c_size_t


class _Functions:
    """The functions of the library, without the prefix gipc_."""

    def __init__(self) -> None:
        for name, arguments in _ARGUMENTS.items():
            function = getattr(_cdll, "gipc_" + name)
            function.argtypes = arguments
            function.restype = c_uint64 if name.endswith(_UNSIGNED) else None if name.endswith(_NOTHING) else c_int
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"libgipc has no function gipc_{name}")


lib = _Functions()


def allocate(name: str) -> ctypes.Array:
    """Return memory for a structure of the library, aligned to 8 bytes."""
    return (c_uint64 * ((_cdll.gipc_sizeof(name.encode()) + 7) // 8))()


# Python runs signal handlers only between calls, so no call waits longer than this.
_SLICE = 200_000_000
_AGAIN = (-errno.ETIMEDOUT, -errno.EINTR)


def wait(call: Callable[..., int], *args: Any, timeout: Optional[float]) -> int:
    """Call a function again and again until it has a result or the time is over."""
    if timeout is None:
        while True:
            result = call(*args, _SLICE)
            if result not in _AGAIN:
                return result
    result = call(*args, 0)
    if result not in _AGAIN or timeout <= 0:
        return result
    deadline = time.monotonic_ns() + int(timeout * 1e9)
    while result in _AGAIN:
        left = deadline - time.monotonic_ns()
        if left <= 0:
            return -errno.ETIMEDOUT
        result = call(*args, min(left, _SLICE))
    return result
