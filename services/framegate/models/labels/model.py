"""What all formats of labels come down to, and the checks that they share."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framegate.kernel.errors import ConfigurationError
from framegate.kernel.imagefile import ImageRefused, inspect_file
from framegate.preprocess.sizes import upright_size

Format = Literal["yolo", "voc", "coco", "folders"]

#: Files that count as images. The pipeline takes JPEG and PNG; the others are left out by name, not overlooked.
IMAGE_SUFFIXES: Final = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"))
#: How far, as a share of the side and one pixel more, a box may reach outside: tools round. It is cut off.
_OVERHANG = 0.01


class Box(NamedTuple):
    """One object, in pixels of the upright image; `where` is its file and line."""

    class_id: int
    x1: float
    y1: float
    x2: float
    y2: float
    where: str


class Look(NamedTuple):
    """What a file says about itself; width and height are the upright ones."""

    sha256: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """`xyxy` (n, 4) float32 in pixels of the upright original, `class_id` (n,) int32 into the set's classes.

    In a set with labels for whole images these are empty, and `damaged` is what people said.
    """

    path: Path
    sha256: str
    xyxy: NDArray[np.float32]
    class_id: NDArray[np.int32]
    damaged: bool | None = None

    def labels(self) -> str:
        """All that people said, the same for the same labels."""
        return f"{self.damaged} {self.class_id.astype('<i4').tobytes().hex()} {self.xyxy.astype('<f4').tobytes().hex()}"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An image that is not measured, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """`sha256` is over names, pixels' files and labels: equal sets, equal hashes, wherever they lie."""

    root: Path
    format: Format
    classes: tuple[str, ...]  #: those of the model
    images: tuple[LabelledImage, ...]
    left_out: tuple[LeftOut, ...]
    sha256: str

    @property
    def image_level(self) -> bool:
        """Whether people said something about whole images and drew no boxes."""
        return self.format == "folders"

    def count(self, class_id: int) -> int:
        """Images that contain the class."""
        return sum(bool((image.class_id == class_id).any()) for image in self.images)


class Collector:
    """Gathers the images of one set; each reader fills one."""

    def __init__(self, root: Path, classes: Sequence[str]) -> None:
        self.root, self.classes = root, tuple(classes)
        self._ids = {name: number for number, name in enumerate(classes)}
        self._images: dict[str, LabelledImage] = {}
        self._left_out: list[LeftOut] = []

    def class_id(self, name: str, where: str) -> int:
        """The model's number for a class; raises `ConfigurationError`."""
        try:
            return self._ids[name]
        except KeyError:
            raise ConfigurationError(
                f"{where}: the model has no class {name!r}, only {', '.join(self.classes)}: "
                "rename the class in the labels, or remove its boxes"
            ) from None

    def look(self, path: Path, where: str, stated: tuple[int, int] | None = None) -> Look | None:
        """None for a file that the pipeline would refuse, which is left out by name. Raises when there is no such file,
        or when it does not have the size that its labels state.
        """
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise ConfigurationError(f"{where}: the image {path} is missing: add it, or remove its labels") from None
        except OSError as error:
            raise ConfigurationError(f"cannot read the image {path}: {error.strerror or error}") from error
        try:
            header = inspect_file(data)
        except ImageRefused as error:
            self._left_out.append(LeftOut(path, str(error)))
            return None
        size = upright_size(header.width, header.height, header.orientation)
        if stated and all(stated) and stated != size:
            raise ConfigurationError(_other_size(path, where, stated, size))
        return Look(hashlib.sha256(data).hexdigest(), *size)

    def add(self, path: Path, look: Look, boxes: Sequence[Box], damaged: bool | None = None) -> None:
        """A copy of an image that is there already is left out: it would count as evidence twice."""
        rows = np.array([_inside(box, look) for box in boxes], np.float32).reshape(-1, 5)
        rows = np.unique(rows, axis=0)  # a row that was written twice is one object
        image = LabelledImage(
            path, look.sha256, np.ascontiguousarray(rows[:, 1:]), rows[:, 0].astype(np.int32), damaged
        )
        first = self._images.setdefault(look.sha256, image)
        if first is image:
            return
        if first.labels() != image.labels():
            raise ConfigurationError(
                f"{path} and {first.path} are the same file with different labels: remove one or correct its labels"
            )
        self._left_out.append(LeftOut(path, f"a copy of {self._name(first.path)}"))

    def done(self, form: Format) -> LabelledSet:
        """Raises `ConfigurationError` for a set that nothing can be measured with."""
        images = tuple(sorted(self._images.values(), key=lambda image: image.path))
        if not images:
            reasons = "".join(f"\n  {left.path}: {left.reason}" for left in self._left_out[:5])
            raise ConfigurationError(f"{self.root} ({form}) has no usable image{reasons}")
        if form != "folders" and not any(len(image.class_id) for image in images):
            raise ConfigurationError(f"{self.root} ({form}) has {len(images)} images and not one labelled object")
        digest = hashlib.sha256()
        for image in images:
            line = f"{self._name(image.path)}\0{image.sha256}\0{image.labels()}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
        return LabelledSet(self.root, form, self.classes, images, tuple(self._left_out), digest.hexdigest())

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name


def images_in(folder: Path, *, deep: bool = True) -> list[Path]:
    """Every image file, in order."""
    found = folder.rglob("*") if deep else folder.glob("*")
    return sorted(path for path in found if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())


def number(text: object, where: str, kind: Callable[[str], float] = float) -> float:
    """A finite number; raises `ConfigurationError`."""
    try:
        value = kind(str(text))
        if np.isfinite(value):
            return value
    except (ValueError, OverflowError):
        pass
    raise ConfigurationError(f"{where}: {str(text)[:40]!r} is not {'a whole' if kind is int else 'a'} number")


def _inside(box: Box, look: Look) -> tuple[float, ...]:
    corners = np.array(box[1:5])
    limits = np.array([look.width, look.height] * 2)
    overhang = limits * _OVERHANG + 1
    if (corners < -overhang).any() or (corners > limits + overhang).any():
        raise ConfigurationError(
            f"{box.where}: the box {corners.round(1).tolist()} reaches outside the image, "
            f"which is {look.width} x {look.height} pixels when upright"
        )
    x1, y1, x2, y2 = np.clip(corners, 0, limits).tolist()
    if x2 <= x1 or y2 <= y1:
        raise ConfigurationError(f"{box.where}: the box {corners.round(1).tolist()} has no area: remove or redraw it")
    return box.class_id, x1, y1, x2, y2


def _other_size(path: Path, where: str, stated: tuple[int, int], size: tuple[int, int]) -> str:
    turned = stated == (size[1], size[0])
    remedy = (
        "the boxes were drawn on the picture as stored, not as its EXIF orientation shows it; turn the pixels and label again"
        if turned
        else "give the very files that were labelled"
    )
    return f"{where}: labelled as {stated[0]} x {stated[1]}, but {path} is {size[0]} x {size[1]} upright: {remedy}"
