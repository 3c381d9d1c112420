"""The real decoder child, with images that do what a decoder with a hole in it might do.

Run in its place by the tests: a file that begins with `EVIL ` names its deed, any other is decoded as ever.
"""

import ctypes
import os
import socket
import sys
import tempfile
import threading
import time

import numpy as np
from numpy.typing import NDArray

from framegate.preprocess.child import main, prepare_frame
from framegate.preprocess.confine import Confinement
from framegate.preprocess.wire import Answer, Request


def work(request: Request, data: memoryview, out: NDArray[np.uint8]) -> Answer:
    if bytes(data[:5]) == b"EVIL ":
        deed, _, argument = bytes(data[5:]).decode().strip("\0").partition(" ")
        globals()[deed](argument, out)
    return prepare_frame(request, data, out)


def segfault(_: str, out: NDArray[np.uint8]) -> None:
    out[...] = 13
    ctypes.string_at(0)


def leave(code: str, _: NDArray[np.uint8]) -> None:
    print("last words\nof an evil child", file=sys.stderr, flush=True)
    os._exit(int(code))


def spin(_: str, __: NDArray[np.uint8]) -> None:
    while True:
        pass


def sleep(_: str, __: NDArray[np.uint8]) -> None:
    time.sleep(600)


def allocate(size: str, _: NDArray[np.uint8]) -> None:
    np.ones(int(size), np.uint8)


def fail(_: str, __: NDArray[np.uint8]) -> None:
    raise ArithmeticError("a bug, not a bad image")


def say(words: str, _: NDArray[np.uint8]) -> None:
    """Writes straight onto the control socket, whose number is the first argument."""
    with socket.socket(fileno=os.dup(int(sys.argv[1]))) as channel:
        channel.sendall(bytes.fromhex(words))
    time.sleep(600)


def shout(size: str, _: NDArray[np.uint8]) -> None:
    try:
        print("x" * int(size), file=sys.stderr, flush=True)
    except BlockingIOError:
        sys.stderr = None


def shrink(area: str, _: NDArray[np.uint8]) -> None:
    """The number of its argument: 2 is the input, 3 the output."""
    os.ftruncate(int(sys.argv[int(area)]), 0)


def create(_: str, __: NDArray[np.uint8]) -> None:
    with tempfile.TemporaryFile(buffering=0, dir="/tmp") as file:
        file.write(b"x")


def fork(_: str, __: NDArray[np.uint8]) -> None:
    if os.fork() == 0:
        os._exit(0)


def thread(_: str, __: NDArray[np.uint8]) -> None:
    threading.Thread(target=print).start()


def options() -> set[str]:
    """`--hasty` and `--nobody`, taken out of the arguments."""
    given = {argument for argument in sys.argv[1:] if argument.startswith("--")}
    sys.argv = [argument for argument in sys.argv if argument not in given]
    return given


if __name__ == "__main__":
    given = options()
    if "--nobody" in given and os.getuid() == 0:
        os.setuid(65534)  # RLIMIT_NPROC does not bind root
    main(work, Confinement(cpu_s=1 if "--hasty" in given else 20))
