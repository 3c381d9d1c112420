"""A labelled set in YOLO format, checked file by file before hours are spent on it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from framegate.kernel.errors import ConfigurationError
from framegate.kernel.imagefile import ImageRefused, inspect_file

_IMAGES: Final = frozenset({".jpg", ".jpeg", ".png"})
_HELD_BACK_OF: Final = 10


@dataclass(frozen=True, slots=True)
class Example:
    """An image and the file with its boxes, which is absent when nothing is in it."""

    image: Path
    labels: Path | None


@dataclass(frozen=True, slots=True)
class DataSet:
    """A set that was checked."""

    directory: Path
    classes: tuple[str, ...]
    train: tuple[Example, ...]
    val: tuple[Example, ...]
    boxes: int
    sha256: str  #: over the classes and the names and contents of all images and labels


def read_dataset(directory: Path) -> DataSet:
    """`directory` holds data.yaml (names, train, val), images/ and, beside each, labels/ with a file for each image.

    Without `val`, or when it is the same folder as `train`, every tenth image by name is held back. Raises
    `ConfigurationError` that names the file and the line.
    """
    description = directory / "data.yaml"
    raw = _description(description)
    classes = _classes(raw.get("names"), description)
    root = directory / str(raw.get("path") or ".")
    train = _examples(root, raw.get("train", "images"), description, "train")
    if raw.get("val") in (None, raw.get("train")):
        train, val = [e for i, e in enumerate(train) if i % _HELD_BACK_OF], train[::_HELD_BACK_OF]
    else:
        val = _examples(root, raw["val"], description, "val")
    if not train or not val:
        raise ConfigurationError(
            f"{directory} has {len(train)} images to train on and {len(val)} held back: add images"
        )
    boxes = sum(_check_labels(e.labels, len(classes)) for e in (*train, *val) if e.labels)
    if not boxes:
        raise ConfigurationError(f"no image of {directory} has a box: labels/NAME.txt must lie beside images/NAME.jpg")
    return DataSet(directory, classes, tuple(train), tuple(val), boxes, _sha256(classes, train, val))


def _description(file: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {file}: {error.strerror}; a YOLO data set has a data.yaml with names, train and val"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ConfigurationError(f"{file} must hold names, train and val")
    return raw


def _classes(names: Any, file: Path) -> tuple[str, ...]:
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[i] for i in range(len(names))]
    if not isinstance(names, list) or not names:
        raise ConfigurationError(f"{file}: names must list the classes, numbered from 0 without gaps")
    classes = tuple(str(name).strip() for name in names)
    if len({*classes}) != len(classes) or "" in classes:
        raise ConfigurationError(f"{file}: the names must be different and not empty: {list(classes)}")
    return classes


def _examples(root: Path, folder: Any, file: Path, what: str) -> list[Example]:
    images = root / folder if isinstance(folder, str) else None
    if images is None or not images.is_dir():
        raise ConfigurationError(f"{file}: {what} must be a folder of images below {root}, not {folder!r}")
    labels = _labels_beside(images)
    found = sorted(path for path in images.rglob("*") if path.suffix.lower() in _IMAGES)
    named = {path.relative_to(images).with_suffix(".txt") for path in found}
    if len(named) != len(found):
        raise ConfigurationError(
            f"{images} has images that differ in their endings only: they would share one label file"
        )
    orphans = sorted(path for path in labels.rglob("*.txt") if path.relative_to(labels) not in named)
    if orphans:
        raise ConfigurationError(f"{orphans[0]} and {len(orphans) - 1} others have no image in {images}: remove them")
    beside = [labels / path.relative_to(images).with_suffix(".txt") for path in found]
    return [Example(image, label if label.exists() else None) for image, label in zip(found, beside, strict=True)]


def _labels_beside(images: Path) -> Path:
    """As the format has it: the last `images` of the path becomes `labels`."""
    parts = list(images.parts)
    for i in reversed(range(len(parts))):
        if parts[i] == "images":
            return Path(*parts[:i], "labels", *parts[i + 1 :])
    raise ConfigurationError(f"{images} has no part called images: its labels cannot be found; name the folders so")


def _check_labels(file: Path, classes: int) -> int:
    """How many boxes."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not text: {error}") from error
    boxes = 0
    for number, line in enumerate(lines, 1):
        if line.strip():
            boxes += 1
            problem = _problem(line.split(), classes)
            if problem:
                raise ConfigurationError(f"{file}, line {number}: {problem}")
    return boxes


def _problem(fields: list[str], classes: int) -> str:
    try:
        class_id, *place = (float(field) for field in fields)
    except ValueError:
        return f"{' '.join(fields)!r} are not numbers"
    if len(place) != 4:
        return f"a box is 'class x y width height', 5 numbers, not {len(fields)}"
    if class_id % 1 or not 0 <= class_id < classes:
        return f"the class {fields[0]} is not one of 0..{classes - 1}"
    if not all(0 <= share <= 1 for share in place) or 0 in place[2:]:
        return f"{' '.join(fields[1:])} are not shares of the frame between 0 and 1, with a size above 0"
    return ""


def _sha256(classes: Iterable[str], train: Iterable[Example], val: Iterable[Example]) -> str:
    total = hashlib.sha256("\n".join(classes).encode())
    seen: dict[bytes, tuple[str, Path]] = {}
    for split, examples in (("train", train), ("val", val)):
        for example in examples:
            content = _image(example.image)
            other, path = seen.setdefault(content, (split, example.image))
            if other != split:
                raise ConfigurationError(
                    f"{example.image} is held back, but {path} is the same image: remove one of them"
                )
            labels = example.labels.read_bytes() if example.labels else b""
            for part in (split.encode(), example.image.name.encode(), content, hashlib.sha256(labels).digest()):
                total.update(hashlib.sha256(part).digest())
    return total.hexdigest()


def _image(file: Path) -> bytes:
    data = file.read_bytes()
    try:
        inspect_file(data)
    except ImageRefused as error:
        raise ConfigurationError(f"{file} cannot be trained on, the pipeline would refuse it: {error}") from error
    return hashlib.sha256(data).digest()
