"""peer.py does what peer.c does, through ctypes or, where it is installed, sysv_ipc.

Its commands and output are the same.
"""
import ctypes
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
libc.shmget.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_int]
libc.msgsnd.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.msgrcv.restype = ctypes.c_ssize_t
libc.msgrcv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long, ctypes.c_int]

CREATE = 0o1000 | 0o2000 | 0o600
RMID, GETALL, SETVAL = 0, 13, 16


class Sembuf(ctypes.Structure):
    _fields_ = [("num", ctypes.c_ushort), ("op", ctypes.c_short), ("flg", ctypes.c_short)]


class Message(ctypes.Structure):
    _fields_ = [("type", ctypes.c_long), ("text", ctypes.c_char * 8192)]


def check(result):
    if result == -1:
        sys.exit(f"errno {ctypes.get_errno()}")
    return result


def attach(shmid):
    address = libc.shmat(shmid, None, 0)
    check(-1 if address == ctypes.c_void_p(-1).value else 0)
    return address


def shm_make(key, size, text):
    shmid = check(libc.shmget(key, int(size), CREATE))
    ctypes.memmove(attach(shmid), text.encode() + b"\0", len(text) + 1)
    print(shmid)


def shm_read(key):
    try:
        import sysv_ipc

        segment = sysv_ipc.SharedMemory(key)
        print(segment.read().split(b"\0")[0].decode(), segment.size)
        return
    except ImportError:
        pass
    shmid = check(libc.shmget(key, 0, 0))
    size = 1
    while libc.shmget(key, size + 1, 0) != -1:  # EINVAL beyond its size
        size += 1
    print(ctypes.string_at(attach(shmid)).decode(), size)


def sem_make(key, *values):
    semid = check(libc.semget(key, len(values), CREATE))
    for num, value in enumerate(values):
        check(libc.semctl(semid, num, SETVAL, int(value)))
    print(semid)


def sem_read(key):
    semid = check(libc.semget(key, 0, 0))
    number = 1
    while libc.semget(key, number + 1, 0) != -1:
        number += 1
    values = (ctypes.c_ushort * number)()
    check(libc.semctl(semid, 0, GETALL, values))
    print(*values)


def sem_op(key, num, add):
    check(libc.semop(check(libc.semget(key, 0, 0)), ctypes.byref(Sembuf(int(num), int(add), 0)), 1))


def sem_wait(key, num):
    print("waiting", flush=True)
    sem_op(key, num, -1)
    print("taken")


def msg_make(key):
    print(check(libc.msgget(key, CREATE)))


def msg_send(key, mtype, text):
    message = Message(int(mtype), text.encode())
    check(libc.msgsnd(check(libc.msgget(key, 0)), ctypes.byref(message), len(text), 0))


def msg_receive(key, mtype):
    message = Message()
    n = check(libc.msgrcv(check(libc.msgget(key, 0)), ctypes.byref(message), 8192, int(mtype), 0))
    print(message.type, message.text[:n].decode())


def rm(kind, key):
    if kind == "shm":
        check(libc.shmctl(check(libc.shmget(key, 0, 0)), RMID, None))
    elif kind == "sem":
        check(libc.semctl(check(libc.semget(key, 0, 0)), 0, RMID))
    else:
        check(libc.msgctl(check(libc.msgget(key, 0)), RMID, None))


def number(key):
    return ctypes.c_int(int(key, 0)).value


command, *args = sys.argv[1:]
args[command == "rm"] = number(args[command == "rm"])
globals()[command.replace("-", "_")](*args)
