"""leaker.py does what leaker.c does, under the name pyleaker."""
import ctypes
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.shmget.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_int]
with open("/proc/self/comm", "w") as comm:
    comm.write("pyleaker")
for line in sys.stdin:
    print(libc.shmget(0, int(sys.argv[1]), 0o600), flush=True)
