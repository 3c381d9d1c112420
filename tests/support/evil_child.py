"""A decoder child for fault drills: does what the file's comment says, and decodes everything else.

A JPEG comment of `evil:segv`, `evil:hang` or `evil:memory` is all it takes; no ordinary file has one.
"""

import ctypes
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framegate.preprocess.child import main, prepare_frame
from framegate.preprocess.wire import Answer, Request
from tests.support.jpegs import commented


def evil(data: bytes, deed: str) -> bytes:
    """`data`, a JPEG, made evil."""
    return commented(data, f"evil:{deed}")


def work(request: Request, data: memoryview, out: NDArray[np.uint8]) -> Answer:
    head = bytes(data[:64])
    if b"evil:segv" in head:
        ctypes.string_at(0)
    if b"evil:hang" in head:
        while True:
            time.sleep(1)
    if b"evil:memory" in head:
        hoard: Any = bytearray(20 * 2**30)
        hoard[0] = 1
    return prepare_frame(request, data, out)


if __name__ == "__main__":
    main(work)
