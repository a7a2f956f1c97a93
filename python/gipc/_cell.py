"""The latest value of a type."""

from __future__ import annotations

import ctypes
import errno
from ctypes import c_uint64
from typing import Any, Callable, Optional, Tuple, Type, Union

from ._library import allocate, check, lib, wait
from ._memory import Handle, Memory, Place, open_descriptor, open_or_make

_KINDS = {
    "b": "int", "h": "int", "i": "int", "l": "int", "q": "int",
    "B": "uint", "H": "uint", "I": "uint", "L": "uint", "Q": "uint", "c": "uint",
    "f": "float", "d": "float",
}  # fmt: skip


def describe(kind: Type[Any]) -> str:
    """Describe a type of ctypes as docs/ring.md says. Go's names begin with a capital."""
    if issubclass(kind, ctypes.Structure):
        parts = []
        for name, part, *bits in kind._fields_:
            if bits:
                raise TypeError(f"{kind.__name__}.{name} has bits, which Go does not have")
            parts.append(f"{name}@{getattr(kind, name).offset} {describe(part)};")
        return "{" + "".join(parts) + "}"
    if issubclass(kind, ctypes.Array):
        return f"[{kind._length_}]{describe(kind._type_)}"
    code = getattr(kind, "_type_", None)
    if code == "?":
        return "bool"
    if not isinstance(code, str) or code not in _KINDS:
        raise TypeError(f"{kind.__name__} can't be shared: numbers, arrays and structures of them can")
    return f"{_KINDS[code]}{8 * ctypes.sizeof(kind)}"


class Cell(Place, Handle):
    """A cell in the POSIX object with a name. It is made if there is none.

    kind is the type of the values: a ctypes.Structure, array or number, or an int, which is
    a number of bytes. In Go, the fields of a structure have the same names:

        class Config(ctypes.Structure):           # type Config struct {
            _fields_ = [("Rate", ctypes.c_double),  #     Rate  float64
                        ("Limit", ctypes.c_int64)]  #     Limit int64 }

        with gipc.Cell("/config", Config) as cell:
            cell.store(Config(0.5, 100))

    Mismatch: the cell has another type. Without create, a missing cell raises
    FileNotFoundError. If kind is an int, values are bytes; otherwise they are of type kind.
    """

    def __init__(
        self, name: str, kind: Union[Type[Any], int], *, mode: int = 0o600, create: bool = True
    ) -> None:
        self._prepare(kind)

        def lay_out(memory: Memory) -> None:
            cell = allocate("cell")
            where = (memory.base, memory.size, memory.struct.fd, 0)
            check(lib.cell_create(cell, *where, self._size, self._description), f"make {name}")
            check(lib.cell_close(cell), "close")

        self._open(open_or_make(name, lib.cell_size(self._size), mode, create, lay_out), name)

    @classmethod
    def from_descriptor(cls, fd: int, kind: Union[Type[Any], int]) -> "Cell":
        """Open the cell in a file that was inherited or received, such as a memfd."""
        cell = cls.__new__(cls)
        cell._prepare(kind)
        cell._open(open_descriptor(fd), None)
        return cell

    def _prepare(self, kind: Union[Type[Any], int]) -> None:
        self._bytes = isinstance(kind, int)
        self._kind: Type[Any] = ctypes.c_ubyte * kind if isinstance(kind, int) else kind
        self._size = ctypes.sizeof(self._kind)
        self._description = describe(self._kind).encode()
        self._version = c_uint64()

    def _open(self, memory: Memory, name: Optional[str]) -> None:
        Place.__init__(self, memory, name)
        self._struct = allocate("cell")
        where = (memory.base, memory.size, memory.struct.fd, 0)
        check(lib.cell_open(self._struct, *where, self._size, self._description), f"open {name or 'the cell'}")
        Handle.__init__(self)

    def _forget(self) -> None:
        lib.cell_forget(self._struct)

    def _value(self, value: Any) -> Any:
        """Return the value in the form that the library takes."""
        if self._bytes:
            if len(value) != self._size:
                raise ValueError(f"{len(value)} bytes, not {self._size}")
            return self._kind.from_buffer_copy(value)
        return value if isinstance(value, self._kind) else self._kind(value)

    def _result(self, value: Any) -> Any:
        return bytes(value) if self._bytes else getattr(value, "value", value)

    def load(self) -> Tuple[Any, int]:
        """Return the value, always a whole one, and its version, which is 0 before the
        first store. It does not wait. Busy: writers were faster 4096 times."""
        value = self._kind()
        check(lib.cell_load(self._struct, ctypes.byref(value), self._version), "load")
        return self._result(value), self._version.value

    def store(self, value: Any, timeout: Optional[float] = None) -> int:
        """Replace the value, and return its version. It waits while another writer stores,
        but never for a reader. TimeoutError; Closed."""
        source = ctypes.byref(self._value(value))
        check(wait(lib.cell_store, self._struct, source, self._version, timeout=timeout), "store")
        return self._version.value

    def update(self, change: Callable[[Any], Any], timeout: Optional[float] = None) -> int:
        """Call change with the value, and store what it returns. If it returns None, store
        the value that it was given and has changed. No other writer stores in between. If
        change raises, the value stays as it is."""
        check(wait(lib.cell_lock, self._struct, timeout=timeout), "lock")
        try:
            value, _ = self.load()
            changed = change(value)
            source = ctypes.byref(self._value(value if changed is None else changed))
            check(lib.cell_replace(self._struct, source, self._version), "store")
            return self._version.value
        finally:
            check(lib.cell_unlock(self._struct), "unlock")

    def wait(self, version: int, timeout: Optional[float] = None) -> Tuple[Any, int]:
        """Wait for a version newer than the given one, and return it as load does. It skips
        versions in between. TimeoutError; Closed."""
        value, newer = self._kind(), c_uint64(version)
        check(wait(lib.cell_wait, self._struct, ctypes.byref(value), newer, timeout=timeout), "wait")
        return self._result(value), newer.value

    def close(self) -> None:
        """Close the cell."""
        if self._memory is None:
            return
        self._left(lib.cell_close(self._struct))
        self._memory = None
