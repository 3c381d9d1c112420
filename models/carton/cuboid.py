"""Cartons in three dimensions: camera, faces, flaps, and their painting into a layer of the frame."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from damage import ON_FACE, Points, creases
from numpy.typing import NDArray
from textures import Image, Rng, cardboard, kraft_colour, printed_mark, shipping_label, tape

Vectors = NDArray[np.float64]
MAX_FACE_PX = 1600


@dataclass(frozen=True, slots=True)
class Camera:
    """Pinhole camera: `rotation` rows are right, down, forward; distances in metres."""

    position: Vectors
    rotation: Vectors
    focal_px: float
    width: int
    height: int

    def project(self, points: Vectors) -> tuple[Points, Vectors]:
        """World points (N, 3) to pixels (N, 2) and depths (N,)."""
        seen = (points - self.position) @ self.rotation.T
        depth = np.maximum(seen[:, 2], 0.05)
        centre = np.array([self.width / 2, self.height / 2])
        return (seen[:, :2] / depth[:, None] * self.focal_px + centre).astype(np.float32), depth


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to label: its class and sample points from centre to outline, in frame pixels."""

    name: str
    points: Points


@dataclass(slots=True)
class Carton:
    centre: Vectors
    size: Vectors
    yaw: float
    base: float
    damages: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def corners(self) -> Vectors:
        """Eight corners: bottom ring then top ring."""
        half = self.size / 2
        ring = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half[:2]
        spin = np.array([[np.cos(self.yaw), -np.sin(self.yaw)], [np.sin(self.yaw), np.cos(self.yaw)]])
        flat = ring @ spin.T + self.centre
        low = np.column_stack([flat, np.full(4, self.base)])
        return np.concatenate([low, low + np.array([0, 0, self.size[2]])])


def look_at(rng: Rng, width: int, height: int, elevation: float, distance: float, focal_px: float) -> Camera:
    azimuth = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    target = np.array([rng.normal(0, 0.06), rng.normal(0, 0.06), rng.uniform(0.08, 0.25)])
    forward = -direction
    right = np.cross(forward, [0, 0, 1.0])
    right /= max(float(np.linalg.norm(right)), 1e-6)
    roll = rng.normal(0, 0.035)
    down = np.cross(forward, right)
    right, down = right * np.cos(roll) + down * np.sin(roll), down * np.cos(roll) - right * np.sin(roll)
    return Camera(target + direction * distance, np.stack([right, down, forward]), focal_px, width, height)


# Corner numbers of each face, in texture order: top-left, top-right, bottom-right, bottom-left.
SIDES = ((4, 5, 1, 0), (5, 6, 2, 1), (6, 7, 3, 2), (7, 4, 0, 3))
TOP = (7, 6, 5, 4)


class Layer:
    """The part of the frame one carton covers: colours, cover mask, and the offset of its corner."""

    image: Image
    cover: Image

    def __init__(self, pixels: Points, camera: Camera, margin: float) -> None:
        low = np.maximum(np.floor(pixels.min(0) - margin), 0).astype(int)
        high = np.minimum(np.ceil(pixels.max(0) + margin), [camera.width, camera.height]).astype(int)
        self.offset = low.astype(np.float32)
        self.size = (max(int(high[0] - low[0]), 0), max(int(high[1] - low[1]), 0))
        self.image = np.zeros((self.size[1], self.size[0], 3), np.uint8)
        self.cover = np.zeros((self.size[1], self.size[0]), np.uint8)
        self.flaps = np.zeros((self.size[1], self.size[0]), np.uint8)

    def hidden_by_flaps(self, points: Points) -> float:
        """Share of the frame points that lie under a flap painted later than the faces."""
        at = np.round(points - self.offset).astype(int)
        within = ((at >= 0) & (at < self.size)).all(1)
        return float(np.mean(self.flaps[at[within, 1], at[within, 0]] > 0)) if within.any() else 0.0

    def quad(self, texture: Image, pixels: Points, is_flap: bool = False) -> None:
        """Paint a texture onto four frame points (texture order as in SIDES)."""
        height, width = texture.shape[:2]
        target = pixels - self.offset
        low = np.maximum(np.floor(target.min(0)), 0).astype(int)
        high = np.minimum(np.ceil(target.max(0)) + 1, self.size).astype(int)
        if (high - low < 2).any() or cv2.contourArea(target) < 4:
            return
        local = (target - low).astype(np.float32)
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        matrix = cv2.getPerspectiveTransform(source, local)
        span = (int(high[0] - low[0]), int(high[1] - low[1]))
        flat = cv2.warpPerspective(texture, matrix, span, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros((span[1], span[0]), np.uint8)
        cv2.fillConvexPoly(mask, np.round(local * 16).astype(np.int32), 255, cv2.LINE_8, 4)
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        cv2.copyTo(flat, mask, self.image[window])
        cv2.bitwise_or(self.cover[window], mask, self.cover[window])
        if is_flap:
            cv2.bitwise_or(self.flaps[window], mask, self.flaps[window])


def rings(outline: Points) -> Points:
    """Sample points from near the centre to just inside the outline."""
    step = max(1, len(outline) // 28)
    centre = outline.mean(0)
    return np.concatenate([(outline[::step] - centre) * r + centre for r in (0.3, 0.6, 0.8, 0.97)]).astype(np.float32)


def face_points(texture: Image, pixels: Points, outline: Points) -> Points:
    height, width = texture.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    inside = np.clip(rings(outline), 1, [width - 2, height - 2]).astype(np.float32)
    return np.asarray(
        cv2.perspectiveTransform(inside[None], cv2.getPerspectiveTransform(source, pixels))[0], np.float32
    )


def edge_wear(rng: Rng, face: Image, flap_seam: bool) -> None:
    """Worn, slightly lighter edges with a thin dark line, and the seam between the flaps on the top."""
    height, width = face.shape[:2]
    thick = max(1, int(min(height, width) * 0.008))
    tone = face[height // 2, width // 2].astype(float)
    cv2.rectangle(face, (0, 0), (width - 1, height - 1), tuple(np.clip(tone * rng.uniform(0.6, 1.25), 0, 255)), thick)
    if flap_seam:
        cv2.line(face, (0, height // 2), (width, height // 2), tuple(tone * 0.45), thick)


def dressed_face(rng: Rng, width: int, height: int, colour: NDArray[np.float32], top: bool, taped: bool) -> Image:
    face = cardboard(rng, width, height, colour)
    edge_wear(rng, face, top)
    for _ in range(int(rng.choice([0, 0, 1, 1, 2, 3]))):
        printed_mark(rng, face)
    if taped and (top or rng.random() < 0.5):
        tape(rng, face, top)
    return face


def stick_label(rng: Rng, face: Image) -> Points | None:
    height, width = face.shape[:2]
    high = int(min(height, width) * rng.uniform(0.28, 0.6))
    wide = int(min(high * rng.uniform(0.7, 1.6), width * 0.8))
    if min(high, wide) < 14:
        return None
    label = shipping_label(rng, wide, high)
    if rng.random() < 0.25:
        label = np.ascontiguousarray(np.rot90(label))
        high, wide = label.shape[:2]
    if high >= height - 4 or wide >= width - 4:
        return None
    x, y = int(rng.uniform(2, width - wide - 2)), int(rng.uniform(2, height - high - 2))
    turn = cv2.getRotationMatrix2D((wide / 2, high / 2), rng.normal(0, 4), 1.0)
    turn[:, 2] += (x, y)
    moved = cv2.warpAffine(label, turn, (width, height))
    mask = cv2.warpAffine(np.full((high, wide), 255, np.uint8), turn, (width, height))
    cv2.copyTo(moved, (mask > 200).astype(np.uint8), face)
    box = np.array([[0, 0, 1], [wide, 0, 1], [wide, high, 1], [0, high, 1]], np.float32)
    sides = [np.linspace(box[i], box[(i + 1) % 4], 6, endpoint=False) for i in range(4)]
    return (np.concatenate(sides) @ turn.T).astype(np.float32)


def flap(rng: Rng, layer: Layer, camera: Camera, edge: Vectors, outward: Vectors, length: float, angle: float,
         colour: NDArray[np.float32], light: Vectors) -> None:  # fmt: skip
    """One flap hinged on a top edge; the angle runs from closed (0) through upright (pi/2) to hanging (pi)."""
    swing = -outward * np.cos(angle) + np.array([0, 0, 1.0]) * np.sin(angle)
    skew = (edge[1] - edge[0]) * rng.uniform(-0.03, 0.06)
    corners = np.stack([edge[0] + swing * length + skew, edge[1] + swing * length - skew, edge[1], edge[0]])
    pixels, _ = camera.project(corners)
    normal = np.cross(edge[1] - edge[0], swing)
    normal /= max(float(np.linalg.norm(normal)), 1e-9)
    shade = 0.62 + 0.4 * abs(float(normal @ light))
    span = np.linalg.norm(pixels[1] - pixels[0]), np.linalg.norm(pixels[3] - pixels[0])
    width, height = (int(np.clip(v, 8, MAX_FACE_PX)) for v in span)
    board = cardboard(rng, width, height, np.asarray(np.clip(colour * shade, 0, 255), np.float32))
    edge_wear(rng, board, False)
    fold = np.linspace(1.03, 0.8, height, dtype=np.float32)[:, None, None]
    layer.quad(np.clip(board * fold, 0, 255).astype(np.uint8), pixels, is_flap=True)


def inside(rng: Rng, layer: Layer, camera: Camera, corners: Vectors, colour: NDArray[np.float32]) -> None:
    """The dark interior: floor, then the inner walls that face the camera."""
    top, bottom = corners[4:], corners[:4] + np.array([0, 0, 0.03])
    pixels, _ = camera.project(np.concatenate([bottom, top]))
    deep = rng.uniform(0.1, 0.32)
    floor_px = int(np.clip(np.linalg.norm(pixels[1] - pixels[0]), 8, MAX_FACE_PX))
    hull = np.full((8, 8, 3), (colour * deep * 0.7).astype(np.uint8), np.uint8)
    layer.quad(hull, pixels[4:8])
    centre = top.mean(0)
    for i in range(4):
        j = (i + 1) % 4
        inward = centre - (top[i] + top[j]) / 2
        if inward @ (camera.position - top[i]) <= 0:
            continue
        height = max(8, floor_px // 2)
        board = cardboard(rng, floor_px, height, np.asarray(colour * 0.75, np.float32))
        fade = np.linspace(rng.uniform(0.55, 0.85), deep, height, dtype=np.float32)[:, None, None]
        wall = np.stack([pixels[4 + i], pixels[4 + j], pixels[j], pixels[i]])
        clipped = clip_to(layer, pixels[4:8])
        before = layer.image.copy()
        layer.quad((board * fade).astype(np.uint8), wall)
        layer.image = np.where(clipped[..., None] > 0, layer.image, before)


def clip_to(layer: Layer, pixels: Points) -> Image:
    mask = np.zeros(layer.cover.shape, np.uint8)
    cv2.fillConvexPoly(mask, np.round((pixels - layer.offset) * 16).astype(np.int32), 255, cv2.LINE_8, 4)
    return mask


def crush_corner(rng: Rng, layer: Layer, corner: Points, radius: float) -> Points:
    """Push a corner of the painted layer inwards, darken it and crease it."""
    centre = corner - layer.offset
    middle = np.array(layer.size, np.float32) / 2
    push = (middle - centre) / max(float(np.linalg.norm(middle - centre)), 1) * radius * rng.uniform(0.35, 0.6)
    yy, xx = np.indices(layer.cover.shape, dtype=np.float32)
    pull = np.exp(-((xx - centre[0]) ** 2 + (yy - centre[1]) ** 2) / (2 * (radius * 0.55) ** 2)).astype(np.float32)
    ripple = (1 + 0.25 * np.sin(xx * (5.0 / radius) + rng.uniform(0, 6))).astype(np.float32)
    from_x, from_y = xx - pull * ripple * push[0], yy - pull * ripple * push[1]
    layer.image = cv2.remap(layer.image, from_x, from_y, cv2.INTER_LINEAR)
    layer.cover = cv2.remap(layer.cover, from_x, from_y, cv2.INTER_NEAREST)
    shade = 1 - pull * np.float32(rng.uniform(0.2, 0.5)) * ripple
    layer.image = np.clip(layer.image * shade[..., None], 0, 255).astype(np.uint8)
    creases(rng, layer.image, (centre + push).astype(np.float32), radius * 0.6, int(rng.integers(2, 6)))
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], 1) * radius * 0.75 + centre + push * 0.8 + layer.offset
    return np.asarray(ring, np.float32)


def paint(rng: Rng, carton: Carton, camera: Camera, light: Vectors) -> Layer | None:
    """Draw one carton with its damages and labels; fills `carton.marks`."""
    corners = carton.corners()
    pixels, depth = camera.project(corners)
    if depth.min() < 0.15:
        return None
    is_open = "open" in carton.damages
    span = float((pixels.max(0) - pixels.min(0)).max())
    layer = Layer(pixels, camera, span * 0.45 if is_open else 3)
    if min(layer.size) < 6 or span < 8:
        return None
    colour = kraft_colour(rng)
    faces = paint_faces(rng, carton, camera, light, layer, corners, pixels, colour)
    if is_open:
        paint_open(rng, carton, camera, light, layer, corners, colour)
    if "crush" in carton.damages and faces:
        near = [
            4 + i
            for i in range(4)
            if (pixels[4 + i] > 0).all() and (pixels[4 + i] < [camera.width, camera.height]).all()
        ]
        if near:
            ring = crush_corner(rng, layer, pixels[int(rng.choice(near))], max(6.0, span * rng.uniform(0.1, 0.2)))
            carton.marks.append(Mark("dent", rings(ring)))
    return layer


def paint_faces(rng: Rng, carton: Carton, camera: Camera, light: Vectors, layer: Layer, corners: Vectors,
                pixels: Points, colour: NDArray[np.float32]) -> int:  # fmt: skip
    """Paint the visible closed faces; share the face damages out among them. Returns how many were painted."""
    taped = rng.random() < 0.65
    centre = corners.mean(0)
    visible = []
    for numbers in (*SIDES, TOP):
        middle = corners[list(numbers)].mean(0)
        if (middle - centre) @ (camera.position - middle) > 0 and not (numbers == TOP and "open" in carton.damages):
            visible.append(numbers)
    areas = np.array([abs(cv2.contourArea(pixels[list(n)])) + 1e-3 for n in visible])
    wanted = [d for d in carton.damages if d in ON_FACE]
    homes = [int(rng.choice(len(visible), p=areas / areas.sum())) for _ in wanted] if visible else []
    label_home = int(rng.choice(len(visible), p=areas / areas.sum())) if visible and rng.random() < 0.6 else -1
    for index, numbers in enumerate(visible):
        quad = pixels[list(numbers)]
        width, height = (int(np.clip(max(np.linalg.norm(quad[a] - quad[b]), np.linalg.norm(quad[c] - quad[d])), 6, MAX_FACE_PX))
                         for a, b, c, d in ((0, 1, 3, 2), (0, 3, 1, 2)))  # fmt: skip
        face = dressed_face(rng, width, height, colour, numbers == TOP, taped)
        found: list[tuple[str, Points | None]] = []
        if index == label_home:
            found.append(("label", stick_label(rng, face)))
        for name, home in zip(wanted, homes, strict=True):
            if home == index:
                found.append((name, ON_FACE[name](rng, face)))
        carton.marks += [Mark(name, face_points(face, quad, outline)) for name, outline in found if outline is not None]
        normal = np.cross(corners[numbers[1]] - corners[numbers[0]], corners[numbers[3]] - corners[numbers[0]])
        toward = -normal / np.linalg.norm(normal)
        shade = 0.55 + 0.55 * max(0.0, float(toward @ light))
        layer.quad(cv2.convertScaleAbs(face, alpha=shade), quad)
    return len(visible)


def paint_open(rng: Rng, carton: Carton, camera: Camera, light: Vectors, layer: Layer, corners: Vectors,
               colour: NDArray[np.float32]) -> None:  # fmt: skip
    """Interior and two to four flaps, far ones first; labels the whole opening."""
    top = corners[4:]
    centre = top.mean(0)
    inner = np.asarray(np.clip(colour * rng.uniform(0.8, 1.15) + 6, 0, 250), np.float32)
    edges = []
    for i in range(4):
        edge = np.stack([top[i], top[(i + 1) % 4]])
        outward = edge.mean(0) - centre
        reach = min(carton.size[0], carton.size[1]) * rng.uniform(0.3, 0.5)
        edges.append(
            (float(np.linalg.norm(edge.mean(0) - camera.position)), edge, outward / np.linalg.norm(outward), reach)
        )
    edges.sort(key=lambda item: -item[0])
    angles = rng.uniform(0.55, 1.15, 4) * np.pi
    if rng.random() < 0.35:
        angles[int(rng.integers(4))] = rng.uniform(0.15, 0.4) * np.pi
    shown = rng.random(4) < 0.9
    tips = [e[1] + (-e[2] * np.cos(a) + np.array([0, 0, np.sin(a)])) * e[3] for e, a in zip(edges, angles, strict=True)]
    for k in (0, 1):
        if shown[k]:
            flap(rng, layer, camera, edges[k][1], edges[k][2], edges[k][3], angles[k], inner, light)
    inside(rng, layer, camera, corners, inner)
    for k in (0, 1):
        if shown[k] and angles[k] < np.pi / 2:
            flap(rng, layer, camera, edges[k][1], edges[k][2], edges[k][3], angles[k], inner, light)
    for k in (2, 3):
        if shown[k]:
            flap(rng, layer, camera, edges[k][1], edges[k][2], edges[k][3], angles[k], inner, light)
    extent = np.concatenate([top, *[tip for tip, on in zip(tips, shown, strict=True) if on]])
    outline, _ = camera.project(extent)
    hull = cv2.convexHull(outline)[:, 0]
    dense = np.concatenate(
        [np.linspace(hull[i], hull[(i + 1) % len(hull)], 6, endpoint=False) for i in range(len(hull))]
    )
    carton.marks[:] = [mark for mark in carton.marks if layer.hidden_by_flaps(mark.points) < 0.5]
    carton.marks.append(Mark("open", rings(dense.astype(np.float32))))
