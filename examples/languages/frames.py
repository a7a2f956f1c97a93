"""A camera and a viewer in Python.

    python3 examples/languages/frames.py view     # several, also in C and Go
    python3 examples/languages/frames.py send
"""

import sys

import gipc


def send(frames):
    with frames.writer() as out:
        for i in range(3):
            with out.claim(10_000 + i) as view:  # numpy.frombuffer(view) works, too
                view[:] = bytes([i]) * len(view)


def view(frames):
    with frames.subscribe(gipc.LATEST, label="viewer in Python") as source:
        print("ready", flush=True)
        for frame in source:
            print(f"Python: a frame of {len(frame)} bytes, the last is {frame[-1]}")


frames = gipc.Broadcast("/gipc-example-viewers", capacity=1 << 16)
send(frames) if sys.argv[1:] == ["send"] else view(frames)
frames.close_and_remove()  # the last process removes it
