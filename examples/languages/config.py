"""Stores a configuration. config.c prints it, and ends when the limit is 0.

    python3 examples/languages/config.py RATE LIMIT
"""

import ctypes
import sys

import gipc


class Config(ctypes.Structure):
    _fields_ = [("Rate", ctypes.c_double), ("Limit", ctypes.c_int64)]


with gipc.Cell("/gipc-example-config", Config) as cell:
    cell.store(Config(float(sys.argv[1]), int(sys.argv[2])))
    if int(sys.argv[2]) == 0:
        cell.unlink()
