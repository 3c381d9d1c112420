"""Detections of one image as a struct of arrays."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

#: float32 columns of `Detections.to_bytes`: x1, y1, x2, y2, confidence, class id.
COLUMNS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """`xyxy` (n, 4) float32 in pixels of the upright original, `confidence` (n,) float32 in 0..1, `class_id` (n,) int32.

    Rows are ordered by falling confidence.
    """

    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int32]

    def __post_init__(self) -> None:
        """Refuses arrays whose shapes disagree or that hold anything but finite numbers."""
        n = len(self.confidence)
        if self.xyxy.shape != (n, 4) or self.confidence.shape != (n,) or self.class_id.shape != (n,):
            raise ValueError(f"shapes disagree: {self.xyxy.shape}, {self.confidence.shape}, {self.class_id.shape}")
        if not (np.isfinite(self.xyxy).all() and np.isfinite(self.confidence).all()):
            raise ValueError("detections must be finite")

    def __len__(self) -> int:
        return len(self.confidence)

    def __iter__(self) -> Iterator[tuple[int, float, tuple[float, float, float, float]]]:
        """Yields (class id, confidence, (x1, y1, x2, y2))."""
        for row, confidence, class_id in zip(self.xyxy, self.confidence, self.class_id, strict=True):
            x1, y1, x2, y2 = (float(v) for v in row)
            yield int(class_id), float(confidence), (x1, y1, x2, y2)

    @classmethod
    def empty(cls) -> Self:
        """No detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))

    @classmethod
    def from_rows(cls, rows: NDArray[np.float32]) -> Self:
        """From (n, 6) rows of x1, y1, x2, y2, confidence, class id; sorts by falling confidence."""
        rows = rows[np.argsort(-rows[:, 4], kind="stable")]
        return cls(
            np.ascontiguousarray(rows[:, :4], np.float32),
            np.ascontiguousarray(rows[:, 4], np.float32),
            rows[:, 5].astype(np.int32),
        )

    def to_bytes(self) -> bytes:
        """Little-endian float32 (n, 6), the form in which they wait on the progress row."""
        rows = np.empty((len(self), COLUMNS), "<f4")
        rows[:, :4], rows[:, 4], rows[:, 5] = self.xyxy, self.confidence, self.class_id
        return rows.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reverses `to_bytes`."""
        return cls.from_rows(np.frombuffer(data, "<f4").reshape(-1, COLUMNS).astype(np.float32))
