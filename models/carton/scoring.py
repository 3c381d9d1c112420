"""Detections of an exported model on JPEG frames, and how they compare with labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from scene import CLASSES

Rows = NDArray[np.float32]
IOU_STEPS = np.arange(0.5, 1.0, 0.05)


def decode(data: bytes, scaled: bool, side: int = 640) -> NDArray[np.uint8]:
    """RGB frame; scaled decoding stops at the smallest of 1/8, 1/4, 1/2 that still covers the letterbox's content."""
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    shrink = side / max(height, width)
    fits = [d for d in (8, 4, 2) if -(-width // d) >= width * shrink and -(-height // d) >= height * shrink]
    if not (scaled and fits):
        return np.asarray(simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True))
    least = {"min_width": -(-width // fits[0]), "min_height": -(-height // fits[0])}
    return np.asarray(simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True, **least))


def letterbox(frame: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], float, float, float]:
    """Square input padded with 114, resized as in training, and scale and offsets from frame to input pixels."""
    height, width = frame.shape[:2]
    scale = side / max(height, width)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
    x, y = (side - size[0]) // 2, (side - size[1]) // 2
    square = np.full((side, side, 3), 114, np.uint8)
    square[y : y + size[1], x : x + size[0]] = small
    return square, scale, x, y


def batch_of(paths: Sequence[Path], side: int) -> NDArray[np.float32]:
    frames = [letterbox(decode(path.read_bytes(), False), side)[0] for path in paths]
    return np.ascontiguousarray(np.stack(frames).transpose(0, 3, 1, 2), np.float32) / np.float32(255)


class Detector:
    """The exported model in ONNX Runtime; answers in shares of the frame (x1, y1, x2, y2, confidence, class)."""

    def __init__(self, model: Path, side: int, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session: Any = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.side = side

    def detect(self, data: bytes, scaled: bool = False, floor: float = 0.001) -> Rows:
        frame = decode(data, scaled, self.side)
        square, scale, x, y = letterbox(frame, self.side)
        image = np.ascontiguousarray(square.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
        rows: Rows = self.session.run(None, {"images": image})[0][0]
        rows = rows[rows[:, 4] >= floor].copy()
        rows[:, [0, 2]] = (rows[:, [0, 2]] - x) / scale / frame.shape[1]
        rows[:, [1, 3]] = (rows[:, [1, 3]] - y) / scale / frame.shape[0]
        return rows


def read_labels(path: Path) -> Rows:
    """YOLO labels as rows of x1, y1, x2, y2, class in shares of the frame."""
    rows = [[float(v) for v in line.split()] for line in path.read_text().splitlines()]
    if not rows:
        return np.zeros((0, 5), np.float32)
    kind, x, y, w, h = np.array(rows, np.float32).T
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2, kind], 1)


def overlap(a: Rows, b: Rows) -> Rows:
    """Intersection over union of every pair (len(a), len(b))."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:4], b[None, :, 2:4])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area = [np.prod(c[:, 2:4] - c[:, :2], axis=1) for c in (a, b)]
    return np.asarray(shared / np.maximum(area[0][:, None] + area[1][None] - shared, 1e-9), np.float32)


@dataclass(frozen=True, slots=True)
class ClassScore:
    ap50: float
    ap50_95: float
    precision: float
    recall: float
    confidence: float
    labels: int


def hits(detections: Rows, truth: Rows, limit: float) -> NDArray[np.bool_]:
    """Which detections (by falling confidence) claim a label of the same class nobody better claimed."""
    found = np.zeros(len(detections), bool)
    if not len(truth) or not len(detections):
        return found
    shared = overlap(detections, truth)
    taken: set[int] = set()
    for i in np.argsort(-detections[:, 4]):
        for j in np.argsort(-shared[i]):
            if shared[i, j] < limit:
                break
            if int(j) not in taken:
                taken.add(int(j))
                found[i] = True
                break
    return found


def average_precision(confidence: Rows, correct: NDArray[np.bool_], labels: int) -> float:
    """Area under the precision envelope at 101 recall points."""
    order = np.argsort(-confidence, kind="stable")
    good = np.cumsum(correct[order])
    recall, precision = good / max(labels, 1), good / np.arange(1, len(good) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    points = np.linspace(0, 1, 101)
    places = np.searchsorted(recall, points)
    return float(np.mean([envelope[p] if p < len(envelope) else 0.0 for p in places]))


def score(found: Sequence[Rows], truth: Sequence[Rows]) -> dict[str, ClassScore]:
    """Average precision per class; precision and recall at the confidence with the best F1 (IoU 0.5)."""
    result = {}
    for number, name in enumerate(CLASSES):
        ours = [rows[rows[:, 5] == number] for rows in found]
        theirs = [rows[rows[:, 4] == number] for rows in truth]
        labels = sum(len(rows) for rows in theirs)
        confidence = np.concatenate([rows[:, 4] for rows in ours])
        matched = [np.concatenate([hits(a, b, t) for a, b in zip(ours, theirs, strict=True)]) for t in IOU_STEPS]
        steps = [average_precision(confidence, good, labels) for good in matched]
        order = np.argsort(-confidence)
        good = np.cumsum(matched[0][order])
        precision, recall = good / np.arange(1, len(good) + 1), good / max(labels, 1)
        best = int(np.argmax(2 * precision * recall / np.maximum(precision + recall, 1e-9))) if len(good) else 0
        at = [float(v[best]) if len(good) else 0.0 for v in (precision, recall, confidence[order])]
        result[name] = ClassScore(steps[0], float(np.mean(steps)), at[0], at[1], at[2], labels)
    return result


def matched_share(reference: Rows, other: Rows, floor: float) -> tuple[int, int]:
    """How many detections above the floor, of either side, have a partner (IoU 0.9, confidence within 0.05)."""
    total = partners = 0
    for first, b in ((reference, other), (other, reference)):
        a = first[first[:, 4] >= floor]
        total += len(a)
        if len(a) and len(b):
            near = (overlap(a, b) >= 0.9) & (np.abs(a[:, None, 4] - b[None, :, 4]) <= 0.05)
            partners += int((near & (a[:, None, 5] == b[None, :, 5])).any(1).sum())
    return partners, total
