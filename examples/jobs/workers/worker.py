"""The worker in Python. It takes jobs from a System V message queue, and sends results to
a second queue. It needs nothing but ctypes and the C library."""

import ctypes
import errno
import os
import sys

JOBS, RESULTS = 0x6A6F6273, 0x6A6F6274

libc = ctypes.CDLL(None, use_errno=True)
libc.msgrcv.restype = ctypes.c_ssize_t
libc.msgrcv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long, ctypes.c_int]
libc.msgsnd.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Message(ctypes.Structure):
    """struct msgbuf"""

    _fields_ = [("type", ctypes.c_long), ("text", ctypes.c_char * 64)]


def check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def work(jobs, results):
    while True:
        message = Message()
        n = check(libc.msgrcv(jobs, ctypes.byref(message), 64, 0, 0))
        job = int(message.text[:n])
        message = Message(1, b"%d %d Python" % (job, job * job))
        check(libc.msgsnd(results, ctypes.byref(message), len(message.text), 0))


try:
    queues = check(libc.msgget(JOBS, 0)), check(libc.msgget(RESULTS, 0))
except OSError as error:
    sys.exit(f"worker: start the server first: {error.strerror}")
try:
    work(*queues)
except KeyboardInterrupt:
    pass
except OSError as error:
    if error.errno not in (errno.EIDRM, errno.EINVAL):  # the server has removed the queues
        sys.exit(f"worker: {error.strerror}")
