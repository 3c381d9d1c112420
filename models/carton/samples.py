"""Choose and write the starter's sample frames: fresh renders picked by their labels, never by a model's answers.

    python models/carton/samples.py --out services/framegate/starter/frames

Frames come from a seed that no training set uses. One is darkened and one blurred on purpose; the order is shuffled.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from scene import CLASSES, Box, frame_with_labels
from textures import Image

SEED = 90_002
WIDTH, HEIGHT = 1280, 720
MAX_BYTES = 108_000
DAMAGES = ("hole", "tear", "dent", "wet", "open")


@dataclass(frozen=True, slots=True)
class Content:
    """What a frame shows: damage classes large enough to see, all damage classes, large cartons, brightness."""

    clear: frozenset[str]
    damages: frozenset[str]
    cartons: int
    lit: bool


def content(frame: Image, boxes: list[Box]) -> Content:
    named = [(CLASSES[b.kind], (b.x2 - b.x1) / WIDTH, (b.y2 - b.y1) / HEIGHT) for b in boxes]
    clear = frozenset(name for name, wide, high in named if name in DAMAGES and wide > 0.05 and high > 0.06)
    large = sum(1 for name, wide, high in named if name == "carton" and wide > 0.12 and high > 0.2)
    return Content(clear, frozenset(n for n, _, _ in named if n in DAMAGES), large, 70 < frame.mean() < 190)


def intact(c: Content) -> bool:
    return not c.damages and c.cartons >= 1


def shows_only(name: str, c: Content) -> bool:
    return c.clear == {name} and c.damages == {name}


def wishes() -> list[tuple[str, Callable[[Content], bool]]]:
    """What the set must hold, in words and as a test of a frame's content."""
    wanted: list[tuple[str, Callable[[Content], bool]]] = []
    wanted += [("intact", lambda c: intact(c) and c.cartons == 1)] * 6
    wanted += [("several intact", lambda c: intact(c) and c.cartons >= 2)] * 3
    for name in DAMAGES:
        wanted += [(name, partial(shows_only, name))] * 2
    wanted += [("several damages", lambda c: len(c.clear) >= 2), ("many cartons", lambda c: c.cartons >= 4)]
    return [*wanted, ("too dark", intact), ("blurred", intact), ("intact", intact)]


def spoil(kind: str, frame: Image) -> Image:
    if kind == "too dark":
        return cv2.convertScaleAbs(frame, alpha=0.12)
    if kind == "blurred":
        return cv2.GaussianBlur(frame, (0, 0), 9.0)
    return frame


def encode(frame: Image) -> bytes:
    """JPEG at the best quality that stays below MAX_BYTES."""
    for quality in range(92, 20, -4):
        data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= MAX_BYTES:
            break
    return data


def choose(search: int) -> list[tuple[str, int, Image]]:
    """Fill the wishes from the first `search` frames; each frame serves one wish."""
    open_wishes = wishes()
    chosen: list[tuple[str, int, Image]] = []
    for index in range(search):
        if not open_wishes:
            break
        frame, boxes = frame_with_labels(SEED, index, WIDTH, HEIGHT)
        seen = content(frame, boxes)
        for wish in open_wishes:
            if seen.lit and wish[1](seen):
                chosen.append((wish[0], index, spoil(wish[0], frame)))
                open_wishes.remove(wish)
                break
    if open_wishes:
        print(f"not found in {search} frames: {[kind for kind, _ in open_wishes]}", file=sys.stderr)
    return chosen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--search", type=int, default=400, help="frames to look through (default 400)")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    chosen = choose(given.search)
    order = np.random.default_rng(SEED).permutation(len(chosen))
    for number, place in enumerate(order, 1):
        kind, index, frame = chosen[place]
        data = encode(frame)
        (given.out / f"frame-{number:02d}.jpg").write_bytes(data)
        print(f"frame-{number:02d}.jpg  render {index:4d}  {len(data) // 1000:3d} kB  {kind}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
