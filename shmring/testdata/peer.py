"""The roles of ring.c, broadcast.c and cell.c, with the Python module; see there.

usage: peer.py ROLE [ARGUMENT...], with the memory in descriptor 3
       peer.py interrupt    waits for a message until it is interrupted
"""

import ctypes
import mmap
import os
import signal
import sys
import time

import gipc


def fill(i, n):
    """Return message i of n bytes."""
    head = i.to_bytes(8, sys.byteorder) if n >= 8 else b""
    return head + bytes((i * 31 + j) & 0xFF for j in range(len(head), n))


def produce(count, size):
    with gipc.Ring.from_descriptor(3) as ring, ring.producer() as out:
        if size:
            rest = bytes(size - 8)
            out.send_many(i.to_bytes(8, sys.byteorder) + rest for i in range(count))
            return
        for i in range(count):
            msg = fill(i, i * 7 % 1000)
            if i % 3 == 0:
                out.send(msg)
            elif i % 3 == 1:
                out.send(bytearray(msg), timeout=60)
            else:
                claim = out.claim(len(msg) + 100)
                claim.view[: len(msg)] = msg
                claim.commit(len(msg))


def consume(count, verify=False):
    n = first = 0
    with gipc.Ring.from_descriptor(3) as ring, ring.consumer() as source:
        for msg in source:
            first = first or time.monotonic_ns()
            if verify and bytes(msg) != fill(n, n * 7 % 1000):
                sys.exit(f"message {n} is wrong")
            n += 1
            if n == count:
                break
        print(n, time.monotonic_ns() - first)


def take(count):
    """Stop an iteration after some messages."""
    with gipc.Ring.from_descriptor(3) as ring, ring.consumer() as source:
        for n, msg in enumerate(source):
            if bytes(msg) != fill(n, n * 7 % 1000):
                sys.exit(f"message {n} is wrong")
            if n + 1 == count:
                return


def numbers(number, count):
    with gipc.Ring.from_descriptor(3) as ring, ring.producer() as out:
        for i in range(count):
            n = (i + number) * 7 % 1000
            head = number.to_bytes(8, sys.byteorder) + i.to_bytes(8, sys.byteorder)
            out.send(head + bytes((i * 7 + number + j) & 0xFF for j in range(n)))


def message(n):
    return fill(n, 8 + n * 7 % 1000)


def write(count):
    with gipc.Broadcast.from_descriptor(3) as b, b.writer() as out:
        for i in range(count):
            msg = message(i)
            if i % 2:
                out.send(msg)
            else:
                with out.claim(len(msg)) as view:
                    view[:] = msg


def receive_next(s):
    if s.next % 2:
        n, msg = s.next, None
        try:
            with s.view() as view:
                msg = bytes(view)
        except gipc.Overwritten:
            return 0
    else:
        msg = s.receive()
        n = s.next - 1
    if msg != message(s.next - 1):
        sys.exit(f"message {n} is wrong")
    return 1


def read(policy):
    with gipc.Broadcast.from_descriptor(3) as b, b.subscribe(policy) as s:
        print("ready", flush=True)
        received = 0
        try:
            while True:
                received += receive_next(s)
        except EOFError:
            print(received, s.lost)


def ledger():
    return memoryview(mmap.mmap(4, 4096)).cast("Q")


def broadcaster():
    book = ledger()
    with gipc.Broadcast.from_descriptor(3) as b, b.subscribe() as s, b.writer() as out:
        n = s.next
        s.close()
        if not book[0] <= n <= book[1]:
            sys.exit(f"{n} messages are there, {book[0]} were sent and {book[1]} begun")
        print("ready", flush=True)
        while True:
            book[1] = n + 1
            out.send(message(n))
            n += 1
            book[0] = n


def listener(policy):
    book = ledger()
    with gipc.Broadcast.from_descriptor(3) as b, b.subscribe(policy, label="doomed") as s:
        print("ready", flush=True)
        while True:
            try:
                receive_next(s)
            except gipc.PeerDied:
                pass
            if policy == gipc.BLOCK and s.lost:
                sys.exit("lost messages")
            book[2] += 1


class Page(ctypes.Structure):
    _fields_ = [("Words", ctypes.c_uint64 * 512)]


def filled(n):
    return Page((ctypes.c_uint64 * 512)(*range(n, n + 512)))


def check_page(page):
    words = list(page.Words)
    if any(words) and words != list(range(words[0], words[0] + 512)):
        sys.exit("a torn value")


def storer():
    def change(page):
        check_page(page)
        return filled(page.Words[0] + 1000)

    with gipc.Cell.from_descriptor(3, Page) as cell:
        print("ready", flush=True)
        while True:
            cell.update(change)


def watch(count):
    with gipc.Cell.from_descriptor(3, Page) as cell:
        before, version = cell.load()
        print("ready", flush=True)
        for _ in range(count):
            page, version = cell.wait(version)
            check_page(page)
            if page.Words[0] < before.Words[0]:
                sys.exit("an older value")
            before = page


def interrupt():
    with gipc.Ring("/gipc-interrupt") as ring, ring.consumer() as source:
        try:
            print("ready", flush=True)
            source.receive()
        except KeyboardInterrupt:
            ring.unlink()


def raises(error, call, *args, **options):
    try:
        call(*args, **options)
    except error as e:
        return e
    sys.exit(f"{call} does not raise {error}")


def check_rings():
    ring = gipc.Ring("/gipc-check", capacity=4096)
    raises(gipc.Mismatch, gipc.Ring, "/gipc-check", capacity=8192)
    raises(gipc.NotFound, gipc.Broadcast, "/gipc-check")
    raises(FileNotFoundError, gipc.Ring, "/gipc-other", create=False)
    raises(OSError, gipc.Ring, "/gipc/other")
    out, source = ring.producer(), ring.consumer()
    raises(gipc.Busy, ring.producer)
    raises(gipc.Busy, ring.remove)
    raises(gipc.TooLarge, out.send, bytes(2049))
    raises(TimeoutError, source.receive, timeout=0)
    raises(TimeoutError, source.receive, timeout=0.3)
    try:
        with out.claim(10) as view:
            raise ValueError
    except ValueError:
        raises(ValueError, len, view)
    out.send(b"one")
    kept = source.receive()
    assert kept == b"one" and kept.readonly
    raises(TypeError, kept.__setitem__, 0, 1)
    child = os.fork()
    if not child:
        raises(gipc.Closed, out.send, b"two")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    out.send(b"three")
    raises(gipc.Busy, ring.close_and_remove)
    out.close()
    assert [bytes(m) for m in source] == [b"three"]
    raises(gipc.Closed, out.send, b"four")
    source.close()
    raises(gipc.Closed, source.receive)
    raises(ValueError, gipc.Ring, "/gipc-check-2", capacity=5000)
    raises(gipc.NotFound, gipc.Broadcast, "/gipc-check")
    ring.close_and_remove()
    del ring, out, source
    assert bytes(kept)  # is still mapped
    raises(FileNotFoundError, gipc.Ring, "/gipc-check", create=False)


def check_broadcasts():
    with gipc.Broadcast("/gipc-check", capacity=4096) as b, b.writer() as out:
        slow = b.subscribe(gipc.BLOCK, label="slow")

        def until_full():
            while True:
                out.send(bytes(100), timeout=0.05)

        error = raises(gipc.SlowReader, until_full)
        assert isinstance(error, TimeoutError) and error.reader.label == "slow" and error.reader.pid == os.getpid()
        slow.close()
        out.send(b"x")
        old = b.subscribe(gipc.LATEST, from_oldest=True)
        while old.receive() != b"x":
            pass
        old.close()
        raises(OSError, b.subscribe, 3)
        raises(OSError, b.subscribe, label="x" * 33)
        b.unlink()


def check_cells():
    class Config(ctypes.Structure):
        _fields_ = [("X", ctypes.c_int32), ("Y", ctypes.c_int32), ("Weight", ctypes.c_double)]

    class Pointers(ctypes.Structure):
        _fields_ = [("Name", ctypes.c_char_p)]

    with gipc.Cell("/gipc-check", Config) as cell:
        raises(gipc.Mismatch, gipc.Cell, "/gipc-check", 16)
        raises(TypeError, gipc.Cell, "/gipc-check", Pointers)
        raises(TimeoutError, cell.wait, 0, timeout=0.01)
        assert cell.store(Config(1, 2, 3.5)) == 1
        raises(ZeroDivisionError, cell.update, lambda c: 1 // 0)
        assert cell.update(lambda c: setattr(c, "Y", 7)) == 2
        value, version = cell.wait(1)
        assert (value.X, value.Y, value.Weight, version) == (1, 7, 3.5, 2)
        cell.remove()
    raises(gipc.Closed, cell.load)
    with gipc.Cell("/gipc-check", 5) as cell:
        assert cell.load() == (bytes(5), 0)
        cell.store(b"12345")
        assert cell.load() == (b"12345", 1)
        raises(ValueError, cell.store, b"1")
        cell.unlink()


def leave(count):
    for _ in range(count):
        gipc.Ring("/gipc-leave").close_and_remove()


def check():
    check_rings()
    check_broadcasts()
    check_cells()


def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    role, *args = sys.argv[1:]
    if role == "verify":
        consume(0, verify=True)
    else:
        globals()[role](*map(int, args))


main()
