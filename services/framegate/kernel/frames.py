"""The prepared frame on its way between stages: content rows without padding, and the padding added on arrival."""

import numpy as np
import zstandard
from numpy.typing import NDArray

from framegate.kernel.geometry import Letterbox


def encode_frame(content: NDArray[np.uint8], codec: str) -> bytes | memoryview:
    """(h, w, 3) -> what `decode_frame` reads; for `raw` a view of a contiguous `content`, not a copy of it."""
    data = np.ascontiguousarray(content).reshape(-1).data
    if codec == "zstd":
        return zstandard.ZstdCompressor(level=1).compress(data)
    if codec != "raw":
        raise ValueError(f"codec {codec!r} is unknown")
    return data


def decode_frame(data: bytes, codec: str, height: int, width: int) -> NDArray[np.uint8]:
    """`data` -> (height, width, 3) RGB, read-only; raises `ValueError` when it is anything else."""
    size = height * width * 3
    if codec == "zstd":
        data = _unpacked(data, size)
    elif codec != "raw":
        raise ValueError(f"codec {codec!r} is unknown")
    if len(data) != size:
        raise ValueError(f"a frame of {width} x {height} has {size} bytes, not {len(data)}")
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def pad(
    content: NDArray[np.uint8], letterbox: Letterbox, pad_value: int, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Lays `content` into the model's input (input_height, input_width, 3); `out` is filled and returned when given."""
    frame = np.empty((letterbox.input_height, letterbox.input_width, 3), np.uint8) if out is None else out
    top, left = letterbox.top, letterbox.left
    bottom, right = top + letterbox.content_height, left + letterbox.content_width
    frame[:top], frame[bottom:] = pad_value, pad_value
    frame[top:bottom, :left], frame[top:bottom, right:] = pad_value, pad_value
    frame[top:bottom, left:right] = content
    return frame


def _unpacked(data: bytes, size: int) -> bytes:
    try:
        # The size is checked before anything is allocated: the frame's header could claim any.
        if zstandard.frame_content_size(data) != size:
            raise ValueError(f"the compressed frame does not hold {size} bytes")
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise ValueError(f"not a zstd frame: {error}") from error
