"""Damage drawn on one face of a carton. Each function changes the face in place and returns the outline in face
pixels ((N, 2) float32), or None when the face is too small to show it."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from textures import Field, Image, Rng, bank, patch

Points = NDArray[Any]
SUBPIXEL_BITS = 4


def irregular(rng: Rng, radius: float, points: int, jag: float) -> Points:
    """A closed ragged outline about the origin, stretched and turned at random."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False) + rng.uniform(-0.12, 0.12, points)
    phase = rng.uniform(0, 6.28, 2)
    reach = 1 + 0.22 * np.sin(2 * angle + phase[0]) + 0.14 * np.sin(3 * angle + phase[1])
    reach = np.maximum(reach + rng.normal(0, jag, points), 0.35) * radius
    outline = np.stack([np.cos(angle) * reach * rng.uniform(0.55, 1.0), np.sin(angle) * reach], 1)
    turn = rng.uniform(0, np.pi)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.asarray(outline @ spin.T, np.float32)


def fill(face: Image, outline: Points, colour: NDArray[Any] | tuple[float, ...]) -> None:
    fixed = np.round(outline * (1 << SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(face, [fixed], tuple(float(v) for v in colour), cv2.LINE_AA, SUBPIXEL_BITS)


def stroke(face: Image, path: Points, colour: tuple[float, ...], thick: int, closed: bool = False) -> None:
    fixed = np.round(path * (1 << SUBPIXEL_BITS)).astype(np.int32)
    cv2.polylines(face, [fixed], closed, colour, thick, cv2.LINE_AA, SUBPIXEL_BITS)


def spot(rng: Rng, face: Image, margin: float) -> Points:
    height, width = face.shape[:2]
    return np.array([rng.uniform(margin, 1 - margin) * width, rng.uniform(margin, 1 - margin) * height], np.float32)


def torn_paper(rng: Rng, face: Image) -> NDArray[np.float32]:
    """Colour of freshly torn board: lighter and greyer than the face."""
    mean = face.reshape(-1, 3)[:: max(1, face.shape[0] * face.shape[1] // 500)].mean(0)
    pale = np.array([150, 185, 215], np.float32) * rng.uniform(0.85, 1.1)
    return np.asarray(np.clip(mean * 0.45 + pale * 0.55 + 12, 0, 250), np.float32)


def roughen(rng: Rng, face: Image, outline: Points, strength: float) -> None:
    """Fibre noise inside the bounds of an outline."""
    height, width = face.shape[:2]
    x0, y0 = np.maximum(np.floor(outline.min(0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(outline.max(0)).astype(int), [width, height])
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    region = face[y0:y1, x0:x1]
    mask = np.zeros(region.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(outline - [x0, y0]).astype(np.int32)], 255)
    noise = 1 + strength * patch(rng, bank().fibre, int(x1 - x0), int(y1 - y0))
    rough = np.clip(region * noise[..., None], 0, 255).astype(np.uint8)
    cv2.copyTo(rough, mask, region)


def hole(rng: Rng, face: Image) -> Points | None:
    side = min(face.shape[:2])
    if side < 24:
        return None
    radius = side * rng.uniform(0.07, 0.24)
    centre = spot(rng, face, 0.15)
    inner = irregular(rng, radius, int(rng.integers(12, 28)), rng.uniform(0.06, 0.2))
    spread = 1 + rng.uniform(0.08, 0.35)
    ragged = 1 + rng.normal(0, 0.1, (len(inner), 1))
    rim = (inner * spread * ragged + centre).astype(np.float32)
    pale = torn_paper(rng, face)
    for _ in range(int(rng.integers(0, 5))):
        start = inner[int(rng.integers(len(inner)))]
        crack = np.stack([start * r + rng.normal(0, radius * 0.07, 2) for r in (1.0, 1.25, 1.5, 1.8)]) + centre
        stroke(face, crack.astype(np.float32), tuple(float(v) for v in pale * 0.4), max(1, int(radius * 0.06)))
    fill(face, rim, pale)
    roughen(rng, face, rim, 0.13)
    stroke(face, rim, tuple(float(v) for v in pale * 0.6), 1, closed=True)
    shift = np.array([rng.uniform(-0.1, 0.1), rng.uniform(0.04, 0.12)]) * radius
    fill(face, (inner + centre + shift).astype(np.float32), pale * 0.62)
    dark = np.array([rng.uniform(8, 34), rng.uniform(10, 40), rng.uniform(14, 52)])
    inside = (inner * 0.96 + centre).astype(np.float32)
    fill(face, inside, dark)
    if rng.random() < 0.6:
        fill(face, (inner * 0.7 + centre + shift * 2.5).astype(np.float32), dark * rng.uniform(1.2, 1.9))
    return rim


def tear(rng: Rng, face: Image) -> Points | None:
    height, width = face.shape[:2]
    side = min(height, width)
    if side < 24:
        return None
    length, half = side * rng.uniform(0.3, 0.8), side * rng.uniform(0.025, 0.085)
    heading = rng.uniform(0, 2 * np.pi)
    steps = int(rng.integers(8, 18))
    turn = heading + np.cumsum(rng.normal(0, 0.22, steps))
    walk = np.cumsum(np.stack([np.cos(turn), np.sin(turn)], 1) * (length / steps), axis=0)
    path = np.clip(walk - walk.mean(0) + spot(rng, face, 0.22), 1, [width - 2, height - 2])
    across = np.stack([-np.sin(turn), np.cos(turn)], 1)
    taper = np.sin(np.linspace(0.15, np.pi - 0.1, steps)) ** 0.6
    left = path + across * (half * taper * rng.uniform(0.5, 1.4, steps))[:, None]
    right = path - across * (half * taper * rng.uniform(0.5, 1.4, steps))[:, None]
    strip = np.concatenate([left, right[::-1]]).astype(np.float32)
    centre = strip.mean(0)
    pale = torn_paper(rng, face)
    outer: Points = ((strip - centre) * 1.04 + centre + rng.normal(0, half * 0.22, strip.shape)).astype(np.float32)
    if rng.random() < 0.6:
        fill(face, (outer + half * 0.35).astype(np.float32), pale * 0.35)
    fill(face, outer, np.minimum(pale * 1.12, 252))
    before = face.copy()
    period = max(2.5, side * rng.uniform(0.018, 0.04))
    wave = 0.78 + 0.26 * np.sin(np.arange(width, dtype=np.float32) * (2 * np.pi / period))
    flutes = np.clip((pale * 0.86)[None, None] * wave[None, :, None], 0, 255).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(strip).astype(np.int32)], 255)
    cv2.copyTo(np.broadcast_to(flutes, face.shape).copy(), mask, before)
    face[:] = before
    roughen(rng, face, outer, 0.1)
    if rng.random() < 0.45:
        slit = np.concatenate([path + (left - path) * 0.35, (path + (right - path) * 0.35)[::-1]])
        fill(face, slit.astype(np.float32), (22, 26, 34))
    if rng.random() < 0.5:
        lift = across * half * rng.uniform(1.2, 2.6)
        third = slice(steps // 4, 3 * steps // 4)
        curl = np.concatenate([left[third], (left + lift * taper[:, None])[third][::-1]]).astype(np.float32)
        fill(face, curl + half * 0.25, pale * 0.4)
        fill(face, curl, np.minimum(pale * 1.15, 252))
        roughen(rng, face, curl, 0.06)
        outer = np.concatenate([outer, curl])
    return outer


def creases(rng: Rng, face: Image, centre: Points, radius: float, count: int) -> None:
    """Sharp folds: a dark line with a light one beside it."""
    for _ in range(count):
        angle = rng.uniform(0, 2 * np.pi)
        reach = np.linspace(-0.9, rng.uniform(0.3, 0.9), 5)[:, None] * radius
        path = centre + reach * [np.cos(angle), np.sin(angle)] + rng.normal(0, radius * 0.09, (5, 2))
        path = path.astype(np.float32)
        x, y = np.clip(centre.astype(int), 0, [face.shape[1] - 1, face.shape[0] - 1])
        tone = face[y, x].astype(float)
        thick = max(1, int(radius * 0.05))
        stroke(face, path + thick, tuple(np.minimum(tone * 1.35, 255)), thick)
        stroke(face, path, tuple(tone * rng.uniform(0.3, 0.6)), thick)


def bend(rng: Rng, face: Image, height_map: Field, depth_px: float) -> None:
    """Shade and shift a face by a dent's height map (same size as the face)."""
    gx = cv2.Sobel(height_map, cv2.CV_32F, 1, 0, ksize=3) / 8
    gy = cv2.Sobel(height_map, cv2.CV_32F, 0, 1, ksize=3) / 8
    yy, xx = np.indices(height_map.shape, dtype=np.float32)
    moved = cv2.remap(
        face, xx + gx * depth_px * 0.5, yy + gy * depth_px * 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    angle = rng.uniform(0, 2 * np.pi)
    slope = (gx * np.cos(angle) + gy * np.sin(angle)) * np.float32(depth_px)
    shade = np.clip(1 + slope - 0.22 * height_map, 0.25, 1.5).astype(np.float32)
    face[:] = np.clip(moved * shade[..., None], 0, 255).astype(np.uint8)


def dent(rng: Rng, face: Image) -> Points | None:
    height, width = face.shape[:2]
    side = min(height, width)
    if side < 28:
        return None
    radius = side * rng.uniform(0.14, 0.34)
    centre = spot(rng, face, 0.1)
    long, short = radius, radius * rng.uniform(0.45, 1.0)
    angle = rng.uniform(0, np.pi)
    yy, xx = np.indices((height, width), dtype=np.float32)
    u = (xx - centre[0]) * np.cos(angle) + (yy - centre[1]) * np.sin(angle)
    v = -(xx - centre[0]) * np.sin(angle) + (yy - centre[1]) * np.cos(angle)
    ripple = patch(rng, bank().blotch, width, height) * np.float32(rng.uniform(0.06, 0.2))
    distance = np.sqrt((u / long) ** 2 + (v / short) ** 2) + ripple
    bowl = np.clip(1 - distance, 0, 1).astype(np.float32)
    bend(rng, face, np.asarray(bowl ** np.float32(rng.uniform(0.7, 1.6)), np.float32), short * rng.uniform(0.7, 1.5))
    creases(rng, face, centre, radius * 0.75, int(rng.integers(1, 6)))
    t = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    ring = np.stack([np.cos(t) * long * 0.9, np.sin(t) * short * 0.9], 1)
    spin = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(np.clip(ring @ spin + centre, 0, [width - 1, height - 1]), np.float32)


def wet(rng: Rng, face: Image) -> Points | None:
    height, width = face.shape[:2]
    side = min(height, width)
    if side < 24:
        return None
    radius = side * rng.uniform(0.18, 0.5)
    centre = spot(rng, face, 0.1)
    if rng.random() < 0.45:
        centre[1] = height * rng.uniform(0.85, 1.0)
    blob = irregular(rng, radius, 24, 0.08) + centre
    mask = np.zeros((height, width), np.uint8)
    fill(mask, blob.astype(np.float32), (255,))
    soft = cv2.GaussianBlur(mask, (0, 0), max(1.0, radius * 0.16)).astype(np.float32) / 255
    soft += patch(rng, bank().blotch, width, height) * np.float32(0.09) * (soft > 0.02)
    edge = rng.uniform(0.07, 0.25)
    stain = np.clip((soft - 0.45 + edge) / (2 * edge), 0, 1).astype(np.float32)
    tide = 4 * stain * (1 - stain) * np.float32(rng.uniform(0.0, 0.3))
    depth = rng.uniform(0.3, 0.6)
    loss = np.array([1.15, 1.0, 0.85], np.float32) * depth
    keep = 1 - np.clip(stain[..., None] * loss + tide[..., None] * 0.5, 0, 0.85)
    face[:] = np.clip(face * keep, 0, 255).astype(np.uint8)
    contours, _ = cv2.findContours((stain > 0.4).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    return np.asarray(largest[:, 0], np.float32)


ON_FACE: dict[str, Callable[[Rng, Image], Points | None]] = {"hole": hole, "tear": tear, "dent": dent, "wet": wet}
