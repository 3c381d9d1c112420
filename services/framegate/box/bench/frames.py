"""1080p JPEGs of about 390 KB, each different, made from the sample frames with sensor-like noise."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from framegate.starter import sample_frames

WIDTH, HEIGHT = 1920, 1080
TARGET_BYTES = 390_000
_TOLERANCE = 0.06


def make_frames(directory: Path, count: int, seed: int, progress: Callable[[int], None]) -> list[Path]:
    """`count` files in `directory`; the same for the same seed."""
    rng = np.random.default_rng(seed)
    sources = [_upscaled(path) for path in sample_frames()]
    noise = [rng.normal(0, 6.0, (HEIGHT, WIDTH, 1)).astype(np.float32) for _ in range(4)]
    files, quality = [], 85
    for i in range(count):
        # Rolling one of a few noise fields is as good as new noise to the encoder, and much faster.
        field = np.roll(noise[i % len(noise)], (int(rng.integers(HEIGHT)), int(rng.integers(WIDTH))), (0, 1))
        frame = np.clip(sources[i % len(sources)] + field, 0, 255).astype(np.uint8)
        data, quality = _encode(frame, quality)
        files.append(directory / f"frame-{i:05}.jpg")
        files[-1].write_bytes(data)
        progress(i + 1)
    return files


def _upscaled(path: Path) -> np.ndarray:
    frame = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if frame is None:
        raise OSError(f"cannot read the sample frame {path}")
    return cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.float32)


def _encode(frame: np.ndarray, quality: int) -> tuple[bytes, int]:
    """Starts from the last quality that fitted; neighbours need the same one or almost."""
    data = b""
    for _ in range(12):
        ok, buffer = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not ok:
            raise OSError("OpenCV could not encode a JPEG")
        data = buffer.tobytes()
        error = len(data) / TARGET_BYTES - 1
        if abs(error) <= _TOLERANCE or not 30 < quality < 98:
            break
        quality += -1 if error > 0 else 1
    return data, quality
