"""Surfaces of the rendered warehouse: cardboard, shipping labels, print, floors and walls (uint8 BGR arrays)."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]
Field = NDArray[Any]
Rng = np.random.Generator

TILE_PX = 768


@dataclass(frozen=True, slots=True)
class Bank:
    """Noise tiles shared by every image; made once per process from a fixed seed."""

    fibre: list[Field]
    blotch: list[Field]
    grain: NDArray[np.int8]


def octaves(rng: Rng, size_px: int, cells: tuple[int, ...], weights: tuple[float, ...]) -> Field:
    """Smooth noise with zero mean and unit deviation, (size, size)."""
    total = np.zeros((size_px, size_px), np.float32)
    for cell, weight in zip(cells, weights, strict=True):
        small = rng.standard_normal((cell, cell)).astype(np.float32)
        total += weight * cv2.resize(small, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    return np.asarray((total - total.mean()) / total.std(), np.float32)


@cache
def bank() -> Bank:
    rng = np.random.default_rng(20_240_601)
    fibre, blotch = [], []
    for _ in range(6):
        fine = rng.standard_normal((TILE_PX, TILE_PX)).astype(np.float32)
        along = cv2.GaussianBlur(fine, (0, 0), sigmaX=3.0, sigmaY=0.6)
        flute = np.sin(np.arange(TILE_PX, dtype=np.float32) * rng.uniform(0.5, 1.1))[:, None]
        mixed = along / along.std() + 0.25 * flute + 0.35 * fine
        fibre.append((mixed / mixed.std()).astype(np.float32))
        blotch.append(octaves(rng, TILE_PX, (4, 9, 23, 60), (1.0, 0.7, 0.45, 0.25)))
    grain = np.clip(rng.standard_normal((2048, 2048)) * 32, -127, 127).astype(np.int8)
    return Bank(fibre, blotch, grain)


def patch(rng: Rng, tiles: list[Field], width: int, height: int) -> Field:
    """A random cut of a random tile, enlarged where the tile is too small."""
    tile = tiles[int(rng.integers(len(tiles)))]
    need = max(width, height)
    if need > TILE_PX:
        cut = tile
    else:
        y, x = (int(rng.integers(0, TILE_PX - side + 1)) for side in (height, width))
        cut = tile[y : y + height, x : x + width]
    if cut.shape != (height, width):
        cut = cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR)
    return cut


def kraft_colour(rng: Rng) -> NDArray[np.float32]:
    """Mostly brown board, some white, some printed in one colour (BGR)."""
    kind = rng.random()
    if kind < 0.78:
        hsv = [rng.uniform(9, 17), rng.uniform(60, 135), rng.uniform(135, 210)]
    elif kind < 0.9:
        hsv = [rng.uniform(8, 30), rng.uniform(2, 28), rng.uniform(190, 240)]
    else:
        hsv = [rng.uniform(0, 180), rng.uniform(50, 170), rng.uniform(80, 200)]
    return np.asarray(cv2.cvtColor(np.array([[hsv]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0], np.float32)


def cardboard(rng: Rng, width: int, height: int, colour: NDArray[np.float32]) -> Image:
    tiles = bank()
    tone: Field = patch(rng, tiles.fibre, width, height) * np.float32(rng.uniform(0.012, 0.04))
    tone = tone + patch(rng, tiles.blotch, width, height) * np.float32(rng.uniform(0.01, 0.045)) + np.float32(1)
    ramp = np.linspace(1 + rng.uniform(-0.1, 0.1), 1 + rng.uniform(-0.1, 0.1), height, dtype=np.float32)
    board = np.asarray(tone * ramp[:, None], np.float32)[..., None] * colour
    return np.asarray(np.clip(board, 0, 255), np.uint8)


def barcode(rng: Rng, image: Image, x: int, y: int, width: int, height: int) -> None:
    at, ink = x, int(rng.integers(5, 60))
    unit = max(1.0, width / 70)
    position = float(at)
    while position < x + width:
        step = unit * rng.integers(1, 4)
        cv2.rectangle(image, (int(position), y), (int(position + step * 0.9), y + height), (ink, ink, ink), -1)
        position += step + unit * rng.integers(1, 4)


def text_rows(rng: Rng, image: Image, x: int, y: int, width: int, rows: int, pitch: int) -> None:
    """Lines of unreadable print: short dark dashes of word length."""
    ink = int(rng.integers(20, 90))
    for row in range(rows):
        position = x
        end = x + int(width * rng.uniform(0.4, 1.0))
        while position < end:
            word = int(max(2, pitch * rng.uniform(0.8, 3.0)))
            cv2.rectangle(
                image,
                (position, y + row * pitch),
                (min(position + word, end), y + row * pitch + max(1, int(pitch * 0.5))),
                (ink, ink, ink),
                -1,
            )
            position += word + max(1, pitch // 2)


def shipping_label(rng: Rng, width: int, height: int) -> Image:
    """White label: a header, address rows, a barcode, sometimes a square code."""
    white = int(rng.integers(215, 253))
    label = np.full((height, width, 3), white, np.uint8)
    label[..., 0] = int(white * rng.uniform(0.94, 1.0))
    margin = max(2, width // 14)
    pitch = max(3, height // 16)
    inner = width - 2 * margin
    if rng.random() < 0.4:
        shade = tuple(int(v) for v in rng.integers(10, 220, 3))
        cv2.rectangle(label, (0, 0), (width, int(height * 0.14)), shade, -1)
    text_rows(rng, label, margin, int(height * 0.18), int(inner * 0.8), int(rng.integers(2, 5)), pitch)
    barcode(rng, label, margin, int(height * 0.55), int(inner * rng.uniform(0.6, 1.0)), int(height * 0.28))
    text_rows(rng, label, margin, int(height * 0.88), int(inner * 0.7), 1, pitch)
    if rng.random() < 0.4:
        side = max(4, int(min(width, height) * 0.25))
        code = (rng.random((12, 12)) > 0.5).astype(np.uint8) * white
        square = cv2.resize(code, (side, side), interpolation=cv2.INTER_NEAREST)
        label[margin : margin + side, width - margin - side : width - margin] = square[..., None]
    cv2.rectangle(label, (0, 0), (width - 1, height - 1), (white - 45,) * 3, 1)
    return label


def printed_mark(rng: Rng, face: Image) -> None:
    """Print that belongs on an intact box: arrows, words, filled panels, a bare barcode, a hand hole."""
    height, width = face.shape[:2]
    ink = tuple(int(v) for v in rng.integers(15, 80, 3))
    size = int(min(width, height) * rng.uniform(0.12, 0.3))
    x, y = int(rng.uniform(0.05, 0.7) * width), int(rng.uniform(0.05, 0.7) * height)
    kind = rng.integers(6)
    if kind == 0:
        for dx in (0, int(size * 0.8)):
            tip = np.array([[x + dx, y + size // 2], [x + dx + size // 3, y], [x + dx + 2 * size // 3, y + size // 2]])
            cv2.fillPoly(face, [tip.astype(np.int32)], ink, cv2.LINE_AA)
            cv2.rectangle(face, (x + dx + size // 4, y + size // 2), (x + dx + size // 2, y + size), ink, -1)
    elif kind == 1:
        word = str(rng.choice(["FRAGILE", "UP", "THIS SIDE UP", "24 PCS", "LOT 7", "KEEP DRY", "MADE IN EU"]))
        scale = size / 30
        cv2.putText(face, word, (x, y + size // 2), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, max(1, int(scale * 2)))
    elif kind == 2:
        barcode(rng, face, x, y, int(size * 1.5), int(size * 0.6))
    elif kind == 3:
        cv2.ellipse(face, (width // 2, int(height * 0.25)), (max(3, size // 2), max(2, size // 5)), 0, 0, 360,
                    (18, 22, 28), -1, cv2.LINE_AA)  # fmt: skip
    elif kind == 4:
        panel = tuple(int(v) for v in rng.integers(20, 230, 3))
        cv2.rectangle(face, (x, y), (x + int(size * rng.uniform(0.6, 2.2)), y + size), panel, -1)
        text_rows(rng, face, x + 2, y + 2, int(size * 0.8), 3, max(3, size // 6))
    else:
        text_rows(rng, face, x, y, int(size * 1.8), int(rng.integers(2, 6)), max(3, size // 5))


def tape(rng: Rng, face: Image, across: bool) -> None:
    """A closing strip over the seam, brown or clear, with one glossy streak."""
    height, width = face.shape[:2]
    half = max(2, int(min(width, height) * rng.uniform(0.05, 0.1)))
    middle = (height if across else width) // 2
    strip = face[middle - half : middle + half] if across else face[:, middle - half : middle + half]
    tint = np.array([rng.uniform(60, 140), rng.uniform(90, 165), rng.uniform(120, 190)], np.float32)
    opacity = rng.uniform(0.25, 0.75)
    strip[:] = np.clip(strip * (1 - opacity) + tint * opacity, 0, 255).astype(np.uint8)
    gloss = (
        strip[half // 2 : half // 2 + max(1, half // 3)]
        if across
        else strip[:, half // 2 : half // 2 + max(1, half // 3)]
    )
    gloss[:] = np.clip(gloss.astype(np.int16) + int(rng.integers(10, 45)), 0, 255).astype(np.uint8)


FLOORS = 48


@cache
def floor(number: int) -> Image:
    """A square of floor: concrete, planks, belt, rollers, or painted lines. One of FLOORS, kept once made."""
    rng = np.random.default_rng([20_240_602, number])
    side = TILE_PX
    tiles = bank()
    kind = rng.integers(5)
    grey = rng.uniform(60, 190)
    base = np.array([grey, grey * rng.uniform(0.95, 1.05), grey * rng.uniform(0.95, 1.08)], np.float32)
    speckle = cv2.GaussianBlur(rng.standard_normal((side, side)).astype(np.float32), (0, 0), rng.uniform(0.6, 1.6))
    noise = 1 + rng.uniform(0.02, 0.1) * patch(rng, tiles.blotch, side, side) + rng.uniform(0.05, 0.2) * speckle
    for _ in range(int(rng.integers(0, 14))):
        ends = [(int(v[0]), int(v[1])) for v in rng.integers(0, side, (2, 2))]
        cv2.line(noise, ends[0], ends[1], float(rng.uniform(0.7, 1.15)), int(rng.integers(1, 4)), cv2.LINE_AA)
    if kind == 1:
        noise += 0.06 * patch(rng, tiles.fibre, side, side)
        base = np.array([rng.uniform(60, 110), rng.uniform(90, 150), rng.uniform(120, 190)], np.float32)
    elif kind == 2:
        base *= 0.35
    ground = np.clip(noise[..., None] * base, 0, 255).astype(np.uint8)
    if kind == 1:
        for at in range(0, side, int(rng.integers(40, 110))):
            cv2.line(ground, (at, 0), (at, side), tuple(int(v) for v in base * 0.35), int(rng.integers(2, 7)))
    elif kind == 3:
        pitch = int(rng.integers(30, 70))
        profile = (0.55 + 0.6 * np.abs(np.sin(np.arange(side) * np.pi / pitch))).astype(np.float32)
        ground = np.clip(ground * profile[:, None, None], 0, 255).astype(np.uint8)
    elif kind == 4:
        paint = (int(rng.integers(0, 90)), int(rng.integers(140, 220)), int(rng.integers(180, 240)))
        left = int(rng.integers(60, side - 60))
        cv2.line(ground, (left, 0), (left + int(rng.integers(-80, 80)), side), paint, int(rng.integers(12, 40)))
    return ground


def wall(rng: Rng, width: int, height: int) -> Image:
    """What stands behind: plain wall, racking with totes, or blurred shapes."""
    grey = rng.uniform(50, 210)
    base = np.array([grey * rng.uniform(0.9, 1.1), grey, grey * rng.uniform(0.9, 1.1)], np.float32)
    noise = 1 + 0.06 * cv2.resize(patch(rng, bank().blotch, 256, 256), (width, height))
    back = np.clip(noise[..., None] * base, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        steel = [(40, 90, 220), (150, 80, 30), (120, 120, 125), (60, 60, 60)][int(rng.integers(4))]
        for _ in range(int(rng.integers(2, 14))):
            x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
            w, h = int(width * rng.uniform(0.04, 0.16)), int(height * rng.uniform(0.05, 0.3))
            cool = tuple(int(v) for v in np.clip(rng.normal((130, 100, 75), 50), 5, 250))
            cv2.rectangle(back, (x, y), (x + w, y + h), cool, -1)
        thick = max(2, int(width * rng.uniform(0.006, 0.02)))
        for post in np.arange(rng.uniform(0, 0.3) * width, width, width * rng.uniform(0.2, 0.5)):
            cv2.line(back, (int(post), 0), (int(post), height), steel, thick)
        for beam in np.arange(rng.uniform(0, 0.4) * height, height, height * rng.uniform(0.25, 0.5)):
            cv2.line(back, (0, int(beam)), (width, int(beam)), steel, thick)
    sigma = width * rng.uniform(0.001, 0.008)
    return np.asarray(cv2.GaussianBlur(back, (0, 0), sigma), np.uint8)
