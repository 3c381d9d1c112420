"""YOLO: a text file beside each image's, a row for each object, in shares of the image's sides."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from framegate.kernel.errors import ConfigurationError
from framegate.models.labels.model import Box, Collector, LabelledSet, Look, images_in, number

_DESCRIPTIONS = ("data.yaml", "data.yml", "dataset.yaml")


@dataclass(frozen=True, slots=True)
class YoloSet:
    """Where the images are; `names` from the description, None: the numbers are the model's own."""

    images: tuple[Path, ...]
    names: dict[int, str] | None
    where: str


def find_yolo(path: Path) -> YoloSet | None:
    """`path` is a folder or a description; None when it is no YOLO set."""
    if path.is_file():
        return _described(path) if path.suffix in (".yaml", ".yml") else None
    for name in _DESCRIPTIONS:
        if (path / name).is_file():
            return _described(path / name)
    if (path / "labels").is_dir():
        places = [path / "images" / "val", path / "images", path]
        return YoloSet((next(place for place in places if place.is_dir()),), None, str(path))
    return None


def read_yolo(collector: Collector, found: YoloSet) -> LabelledSet:
    """An image without a label file, or with an empty one, has no objects; a label file without an image is an error."""
    paths = sorted({image for place in found.images for image in (images_in(place) if place.is_dir() else [place])})
    labels = {path: label_file(path) for path in paths}
    _refuse_widows(found, set(labels.values()))
    if not any(file.is_file() for file in labels.values()):
        raise ConfigurationError(f"{found.where}: none of the {len(paths)} images has a label file in labels/")
    for path, file in labels.items():
        look = collector.look(path, str(file))
        if look is not None:
            boxes = list(_rows(file, found, look, collector)) if file.is_file() else []
            collector.add(path, look, boxes)
    return collector.done("yolo")


def label_file(image: Path) -> Path:
    """The last folder `images` of its path becomes `labels`; without one, the label lies beside the image."""
    parts = list(image.with_suffix(".txt").parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return Path(*parts)


def _refuse_widows(found: YoloSet, wanted: set[Path]) -> None:
    folders = {file.parent for file in wanted} | {label_file(place / "x").parent for place in found.images}
    known = ("classes.txt", "readme.txt")
    widows = sorted(
        file
        for folder in folders
        for file in folder.glob("*.txt")
        if file not in wanted and file.name.lower() not in known
    )
    if widows:
        names = ", ".join(file.name for file in widows[:3])
        raise ConfigurationError(
            f"{widows[0].parent} has {len(widows)} label files without an image ({names}): add the images, or remove them"
        )


def _rows(file: Path, found: YoloSet, look: Look, collector: Collector) -> Iterator[Box]:
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the labels {file}: {error}") from error
    for line, row in enumerate(text.splitlines(), 1):
        if row.strip():
            yield _box(row.split(), f"{file}, line {line}", found, look, collector)


def _box(row: list[str], where: str, found: YoloSet, look: Look, collector: Collector) -> Box:
    """Five columns are a box; more, an odd number, an outline, whose box is taken."""
    if len(row) < 5 or len(row) % 2 == 0:
        raise ConfigurationError(
            f"{where}: a row has class, centre x, centre y, width, height; this one {len(row)} words"
        )
    shares = [number(text, where) for text in row[1:]]
    if not all(0 <= share <= 1 for share in shares):
        raise ConfigurationError(f"{where}: coordinates are shares of the image, 0 to 1, not {' '.join(row[1:5])}")
    class_id = _class_id(row[0], where, found, collector)
    if len(row) == 5:
        x, y, w, h = shares
        corners = x - w / 2, y - h / 2, x + w / 2, y + h / 2
    else:
        corners = min(shares[::2]), min(shares[1::2]), max(shares[::2]), max(shares[1::2])
    sides = (look.width, look.height) * 2
    x1, y1, x2, y2 = (share * side for share, side in zip(corners, sides, strict=True))
    return Box(class_id, x1, y1, x2, y2, where)


def _class_id(text: str, where: str, found: YoloSet, collector: Collector) -> int:
    class_id = int(number(text, where, int))
    names = dict(enumerate(collector.classes)) if found.names is None else found.names
    if class_id not in names:
        whose = "the model's" if found.names is None else f"those of {found.where}"
        raise ConfigurationError(f"{where}: the class {class_id} is out of range; {whose} are 0 to {max(names)}")
    return collector.class_id(names[class_id], where)


def _described(file: Path) -> YoloSet:
    try:
        raw = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"cannot read {file}: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigurationError(f"{file} should have the entries names and val")
    base = file.parent / str(raw.get("path") or ".")
    # `path` is where the set lay on the machine that made it.
    bases = (base, file.parent) if base.is_dir() else (file.parent,)
    split = next((raw[key] for key in ("val", "test") if raw.get(key)), None)
    if split is None:
        raise ConfigurationError(f"{file} has no entry val: the images to measure on, which training has not seen")
    places = [_place(str(entry), bases, file) for entry in (split if isinstance(split, list) else [split])]
    return YoloSet(
        tuple(image for place in places for image in _listed(place)), _names(raw.get("names"), file), str(file)
    )


def _place(entry: str, bases: tuple[Path, ...], file: Path) -> Path:
    # Roboflow writes ../valid/images and means valid/images.
    for candidate in (base / text for text in (entry, entry.removeprefix("../")) for base in bases):
        if candidate.exists():
            return candidate.resolve()
    raise ConfigurationError(f"{file}: there is no {bases[0] / entry}, which its entry val names")


def _listed(place: Path) -> Iterator[Path]:
    """A folder, or a text file that names images, relative to itself."""
    if place.is_dir():
        yield place
        return
    for line in place.read_text("utf-8").splitlines():
        if line.strip():
            yield (place.parent / line.strip()).resolve()


def _names(raw: Any, file: Path) -> dict[int, str] | None:
    if raw is None:
        return None
    if isinstance(raw, list) and raw:
        return dict(enumerate(map(str, raw)))
    if isinstance(raw, dict) and raw and all(isinstance(key, int) for key in raw):
        return {key: str(name) for key, name in raw.items()}
    raise ConfigurationError(f"{file}: names should be a list of class names, or numbers with their names")
