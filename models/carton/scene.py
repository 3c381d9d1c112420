"""One seeded frame: floor and wall, cartons and clutter, light, camera faults, and the labels that follow from them."""

from dataclasses import dataclass

import cv2
import numpy as np
from cuboid import Camera, Carton, Layer, Mark, Vectors, look_at, paint
from damage import Points
from textures import FLOORS, TILE_PX, Field, Image, Rng, bank, floor, wall

CLASSES = ("carton", "hole", "tear", "dent", "wet", "open", "label")
FLOOR_M = 6.0
MIN_VISIBLE = 0.45
MIN_SIDE = 0.011
DAMAGES = ("hole", "tear", "dent", "crush", "wet", "open")
ODDS = (0.21, 0.21, 0.15, 0.1, 0.18, 0.15)


@dataclass(frozen=True, slots=True)
class Box:
    """A label: class number and pixel corners."""

    kind: int
    x1: float
    y1: float
    x2: float
    y2: float


def choose_damages(rng: Rng, dense: bool) -> list[str]:
    """None for half of the cartons, else one to three; when dense, none for a tenth, else two to four."""
    if rng.random() < (0.1 if dense else 0.5):
        return []
    count = int(rng.choice([2, 3, 4], p=[0.3, 0.4, 0.3]) if dense else rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))
    return [str(name) for name in rng.choice(DAMAGES, count, replace=False, p=ODDS)]


def arrange(rng: Rng, dense: bool) -> list[Carton]:
    """A main carton near the middle, others on the floor around it, some stacked."""
    sides = np.sort(rng.uniform(0.18, 0.6, 2))[::-1]
    main = Carton(rng.normal(0, 0.05, 2), np.array([*sides, rng.uniform(0.12, 0.5)]), rng.uniform(0, np.pi), 0.0)
    cartons = [main]
    for _ in range(int(rng.choice([0, 1, 2, 3, 5], p=[0.3, 0.25, 0.2, 0.15, 0.1]))):
        size = rng.uniform(0.15, 0.55, 3)
        if rng.random() < 0.2:
            under = cartons[int(rng.integers(len(cartons)))]
            if under.base == 0 and not any(c.base > 0 for c in cartons):
                small = np.minimum(size, [*(under.size[:2] * 0.9), 0.4])
                cartons.append(
                    Carton(under.centre.copy(), small, under.yaw + rng.normal(0, 0.15), float(under.size[2]))
                )
            continue
        for _ in range(6):
            spot = rng.uniform(0.3, 1.4) * np.array([np.cos(t := rng.uniform(0, 2 * np.pi)), np.sin(t)])
            reach = float(np.hypot(*size[:2])) / 2
            if all(np.linalg.norm(spot - c.centre) > reach * 0.85 + np.hypot(*c.size[:2]) * 0.43 for c in cartons):
                cartons.append(Carton(spot, size, rng.uniform(0, np.pi), 0.0))
                break
    for carton in cartons:
        carton.damages = choose_damages(rng, dense)
        covered = any(c.base > 0 and c is not carton and np.allclose(c.centre, carton.centre) for c in cartons)
        if covered:
            carton.damages = [d for d in carton.damages if d not in ("open", "crush")]
    return cartons


def view(rng: Rng, cartons: list[Carton], width: int, height: int) -> Camera:
    elevation = np.radians(rng.uniform(62, 86) if rng.random() < 0.2 else rng.uniform(12, 58))
    focal = width * rng.uniform(0.75, 1.5)
    size = float(np.linalg.norm(cartons[0].size))
    share = rng.uniform(0.3, 1.1) if rng.random() < 0.8 else rng.uniform(1.1, 1.6)
    return look_at(rng, width, height, elevation, max(focal * size / (share * height), size * 1.3), focal)


def ground_matrix(camera: Camera) -> Vectors:
    """Homography from floor metres (x, y, 1) to frame pixels."""
    centre = np.array([[camera.focal_px, 0, camera.width / 2], [0, camera.focal_px, camera.height / 2], [0, 0, 1]])
    move = -camera.rotation @ camera.position
    return np.asarray(centre @ np.column_stack([camera.rotation[:, 0], camera.rotation[:, 1], move]), np.float64)


def background(rng: Rng, camera: Camera) -> Image:
    """Floor in true perspective; a wall behind it from a random distance on."""
    scale = TILE_PX / (FLOOR_M * rng.uniform(0.4, 1.0))
    to_floor = np.array([[1 / scale, 0, -TILE_PX / scale / 2], [0, 1 / scale, -TILE_PX / scale / 2], [0, 0, 1]])
    size = (camera.width, camera.height)
    frame = cv2.warpPerspective(
        floor(int(rng.integers(FLOORS))), ground_matrix(camera) @ to_floor, size, borderMode=cv2.BORDER_REFLECT
    )
    away = camera.rotation[2] * [1, 1, 0]
    away /= max(float(np.linalg.norm(away)), 1e-6)
    foot = away * rng.uniform(0.7, 3.5)
    side = np.array([-away[1], away[0], 0])
    ends, depth = camera.project(np.stack([foot - side, foot + side]))
    if depth.min() < 0.3:
        return frame
    left, right = ends[np.argsort(ends[:, 0])]
    slope = (right[1] - left[1]) / max(float(right[0] - left[0]), 1.0)
    at_left, at_right = left[1] - slope * left[0], left[1] + slope * (camera.width - left[0])
    if max(at_left, at_right) < 2:
        return frame
    mask = np.zeros(frame.shape[:2], np.uint8)
    area = np.array([[0, 0], [camera.width, 0], [camera.width, at_right], [0, at_left]])
    cv2.fillConvexPoly(mask, np.round(area).astype(np.int32), 255)
    cv2.copyTo(wall(rng, *size), mask, frame)
    return frame


def cast_shadow(rng: Rng, frame: Image, camera: Camera, cartons: list[Carton], light: Vectors) -> None:
    """Shadows on the floor: each carton's corners slid along the light; soft, with a dark contact line."""
    small = 4
    shape = (camera.height // small + 1, camera.width // small + 1)
    mask = np.zeros(shape, np.uint8)
    contact = np.zeros(shape, np.uint8)
    for carton in cartons:
        corners = carton.corners()
        fallen = corners - light * (corners[:, 2:] / light[2])
        for target, points in ((mask, fallen), (contact, corners[:4] * [1, 1, 0])):
            pixels, depth = camera.project(points)
            if depth.min() > 0.1 and carton.base == 0:
                hull = cv2.convexHull(pixels)
                cv2.fillConvexPoly(target, np.round(hull / small).astype(np.int32), 255)
    soft = cv2.GaussianBlur(mask, (0, 0), camera.width / small * rng.uniform(0.004, 0.025)).astype(np.float32)
    tight = cv2.GaussianBlur(contact, (0, 0), camera.width / small * 0.008).astype(np.float32)
    keep = 1 - soft * np.float32(rng.uniform(0.1, 0.6) / 255)
    keep *= 1 - tight * np.float32(0.5 / 255)
    wide = cv2.resize(keep, (camera.width, camera.height))
    frame[:] = (frame * wide[..., None]).astype(np.uint8)


def blend(frame: Image, owner: Image, layer: Layer, number: int) -> None:
    x, y = (int(v) for v in layer.offset)
    window = (slice(y, y + layer.size[1]), slice(x, x + layer.size[0]))
    soft = cv2.blur(layer.cover, (3, 3))
    edge = cv2.min(soft, cv2.dilate(layer.cover, np.ones((3, 3), np.uint8)))
    filled = np.where(layer.cover[..., None] > 0, layer.image, cv2.dilate(layer.image, np.ones((3, 3), np.uint8)))
    alpha = (edge.astype(np.float32) / 255)[..., None]
    frame[window] = (frame[window] * (1 - alpha) + filled * alpha).astype(np.uint8)
    owner[window][layer.cover > 127] = number


def clutter(rng: Rng, frame: Image, owner: Image) -> None:
    """Things in front: straps, posts, paper, a blurred hand-sized blob. They hide what they cover."""
    height, width = frame.shape[:2]
    if rng.random() > 0.3:
        return
    for _ in range(int(rng.integers(1, 3))):
        colour = tuple(int(v) for v in np.clip(rng.normal(110, 70, 3), 5, 250))
        mask = np.zeros((height, width), np.uint8)
        if rng.random() < 0.6:
            ends = [(int(rng.uniform(-0.1, 1.1) * width), int(y)) for y in (0, height)]
            cv2.line(mask, ends[0], ends[1], 255, max(2, int(width * rng.uniform(0.004, 0.03))))
        else:
            side = width * rng.uniform(0.04, 0.12)
            box = cv2.boxPoints(
                ((rng.uniform(0, width), rng.uniform(0, height)), (side, side * 1.6), rng.uniform(0, 90))
            )
            cv2.fillConvexPoly(mask, box.astype(np.int32), 255)
        frame[mask > 0] = colour
        owner[mask > 0] = 255


def visible_box(owner: Image, number: int, mark: Mark) -> tuple[Points, Points] | None:
    """Corners of the visible part of a mark, or None when too little of it shows."""
    height, width = owner.shape
    at = np.round(mark.points).astype(int)
    framed = (at[:, 0] >= 0) & (at[:, 1] >= 0) & (at[:, 0] < width) & (at[:, 1] < height)
    shown = framed.copy()
    shown[framed] = owner[at[framed, 1], at[framed, 0]] == number
    if shown.mean() < (MIN_VISIBLE if mark.name != "open" else 0.35):
        return None
    points = mark.points[shown]
    return points.min(0), points.max(0)


def labels(owner: Image, cartons: list[Carton]) -> list[Box]:
    width = owner.shape[1]
    boxes = []
    for number, carton in enumerate(cartons, 1):
        columns = np.flatnonzero((owner == number).any(0))
        rows = np.flatnonzero((owner == number).any(1))
        if not len(columns) or min(columns[-1] - columns[0], rows[-1] - rows[0]) < width * 0.025:
            continue
        boxes.append(Box(0, columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        for mark in carton.marks:
            found = visible_box(owner, number, mark)
            if found is None:
                continue
            low, high = found
            if min(high - low) >= width * MIN_SIDE:
                boxes.append(
                    Box(CLASSES.index(mark.name), float(low[0]), float(low[1]), float(high[0]), float(high[1]))
                )
    return boxes


def illuminate(rng: Rng, frame: Image) -> Image:
    """Uneven light, colour temperature, hard shadow bars, exposure and contrast."""
    height, width = frame.shape[:2]
    field: Field = 1 + 0.16 * cv2.resize(
        rng.standard_normal((3, 4)).astype(np.float32), (48, 27), interpolation=cv2.INTER_CUBIC
    )
    if rng.random() < 0.35:
        bars: Field = np.ones((270, 480), np.float32)
        x, slant = rng.uniform(-60, 400), rng.uniform(-160, 160)
        thick = rng.uniform(20, 160)
        shape = np.array([[x, 0], [x + thick, 0], [x + thick + slant, 270], [x + slant, 270]]).astype(np.int32)
        cv2.fillConvexPoly(bars, shape, float(rng.uniform(0.45, 0.8)))
        bars = cv2.GaussianBlur(bars, (0, 0), rng.uniform(0.8, 12))
        field = cv2.resize(field, (480, 270)) * bars
    exposure = rng.uniform(0.3, 0.55) if rng.random() < 0.08 else rng.uniform(0.8, 1.45)
    warm = rng.normal(0, 0.06)
    gain = np.array([1 - warm, 1 + rng.normal(0, 0.015), 1 + warm], np.float32) * np.float32(exposure)
    wide = cv2.resize(np.clip(field, 0.4, 1.6).astype(np.float32), (width, height))
    lit = cv2.multiply(frame.astype(np.float32), cv2.merge([wide * gain[0], wide * gain[1], wide * gain[2]]))
    curve = np.arange(256, dtype=np.float32) / 255
    curve = np.clip((curve ** rng.uniform(0.8, 1.25) - 0.5) * rng.uniform(0.8, 1.15) + 0.5 + rng.normal(0, 0.02), 0, 1)
    return cv2.LUT(np.clip(lit, 0, 255).astype(np.uint8), (curve * 255).astype(np.uint8))


def photograph(rng: Rng, frame: Image) -> Image:
    """Defocus, motion blur and sensor noise."""
    height, width = frame.shape[:2]
    blur = rng.random()
    if blur < 0.5:
        frame = cv2.GaussianBlur(frame, (0, 0), width / 640 * rng.uniform(0.3, 1.0))
    elif blur < 0.6:
        frame = cv2.GaussianBlur(frame, (0, 0), width / 640 * rng.uniform(1.0, 2.6))
    elif blur < 0.7:
        length = max(3, int(width / 640 * rng.uniform(3, 11)))
        kernel = np.zeros((length, length), np.float32)
        cv2.line(kernel, (0, int(rng.integers(length))), (length - 1, int(rng.integers(length))), 1.0)
        frame = cv2.filter2D(frame, -1, kernel / kernel.sum())
    grain = bank().grain
    y, x = int(rng.integers(0, 2048 - min(height, 2047))), int(rng.integers(0, 2048 - min(width, 2047)))
    noise = np.asarray(grain[y : y + height, x : x + width], np.int16)
    strength = int(rng.integers(1, 12))
    grey = (noise * strength) >> 5
    return cv2.add(frame, cv2.merge([grey, grey[::-1], grey[:, ::-1]]), dtype=cv2.CV_8U)


def frame_with_labels(seed: int, index: int, width: int, height: int, dense: bool = False) -> tuple[Image, list[Box]]:
    """The frame (BGR) and labels of one (seed, index); the same arguments give the same result.

    `dense` puts far more damage on the cartons than a dock would show, which makes training cheaper.
    """
    rng = np.random.default_rng([seed, index])
    cartons = arrange(rng, dense)
    camera = view(rng, cartons, width, height)
    tilt, around = rng.uniform(0.5, 1.35), rng.uniform(0, 2 * np.pi)
    light = np.array([np.cos(around) * np.cos(tilt), np.sin(around) * np.cos(tilt), np.sin(tilt)])
    frame = background(rng, camera)
    cast_shadow(rng, frame, camera, cartons, light)
    cartons.sort(key=lambda c: (-float(np.linalg.norm(c.centre - camera.position[:2])), c.base))
    owner = np.zeros((height, width), np.uint8)
    for number, carton in enumerate(cartons, 1):
        layer = paint(rng, carton, camera, light)
        if layer is not None:
            blend(frame, owner, layer, number)
    clutter(rng, frame, owner)
    boxes = labels(owner, cartons)
    return photograph(rng, illuminate(rng, frame)), boxes


def jpeg_quality(seed: int, index: int) -> int:
    return int(np.random.default_rng([seed, index, 1]).integers(45, 96))
