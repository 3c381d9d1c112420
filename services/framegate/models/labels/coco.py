"""COCO: one JSON file with images, categories and annotations; boxes are left, top, width, height in pixels."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framegate.kernel.errors import ConfigurationError
from framegate.models.labels.model import Box, Collector, LabelledSet, number


@dataclass(frozen=True, slots=True)
class CocoFile:
    """The parsed file."""

    file: Path
    raw: dict[str, Any]


def find_coco(path: Path) -> CocoFile | None:
    """`path` is the file or a folder with exactly one such file, in it or in annotations/; None when there is none."""
    if path.is_file():
        files = [path] if path.suffix == ".json" else []
    else:
        files = sorted([*path.glob("*.json"), *path.glob("annotations/*.json")])
    found = [coco for coco in map(_parsed, files) if coco]
    if len(found) > 1:
        names = ", ".join(str(coco.file) for coco in found)
        raise ConfigurationError(f"{path} has several COCO files ({names}): give the one that is meant")
    return found[0] if found else None


def read_coco(collector: Collector, coco: CocoFile) -> LabelledSet:
    """Crowds (`iscrowd`) are refused: they are no box of one object."""
    try:
        names = {entry["id"]: str(entry["name"]) for entry in coco.raw["categories"]}
        boxes: dict[Any, list[Box]] = defaultdict(list)
        for annotation in coco.raw["annotations"]:
            boxes[annotation["image_id"]].append(_box(annotation, names, coco.file, collector))
        images = {entry["id"]: (str(entry["file_name"]), _size(entry, coco.file)) for entry in coco.raw["images"]}
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"{coco.file} is not a whole COCO file: {error!r}") from error
    strangers = set(boxes) - set(images)
    if strangers:
        first = boxes[min(strangers, key=str)][0]
        raise ConfigurationError(f"{first.where} belongs to an image that the file does not list")
    for key, (name, size) in images.items():
        path = _image(coco.file, name)
        look = collector.look(path, str(coco.file), size)
        if look is not None:
            collector.add(path, look, boxes[key])
    return collector.done("coco")


def _box(annotation: dict[str, Any], names: dict[Any, str], file: Path, collector: Collector) -> Box:
    where = f"{file}, annotation {annotation.get('id')}"
    if annotation.get("iscrowd"):
        raise ConfigurationError(f"{where} is a crowd, not one object: draw its objects, or remove it")
    if annotation["category_id"] not in names:
        raise ConfigurationError(f"{where}: the category {annotation['category_id']} is not in the file's categories")
    corners = annotation["bbox"]
    if len(corners) != 4:
        raise ConfigurationError(f"{where}: bbox should be [left, top, width, height]")
    left, top, width, height = (number(value, where) for value in corners)
    class_id = collector.class_id(names[annotation["category_id"]], where)
    return Box(class_id, left, top, left + width, top + height, where)


def _size(entry: dict[str, Any], file: Path) -> tuple[int, int]:
    """As the file states it; (0, 0) when it does not."""
    width, height = (int(number(entry.get(side) or 0, str(file))) for side in ("width", "height"))
    return width, height


def _image(file: Path, name: str) -> Path:
    """`file_name` is relative to the JSON file, or to the images/ beside it or beside its folder."""
    folders = [file.parent, file.parent / "images", file.parent.parent, file.parent.parent / "images"]
    candidates = [(folder / name).resolve() for folder in folders]
    return next((candidate for candidate in candidates if candidate.is_file()), candidates[0])


def _parsed(file: Path) -> CocoFile | None:
    try:
        raw = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"cannot read {file}: {error}") from error
    shape = isinstance(raw, dict) and all(isinstance(raw.get(key), list) for key in ("images", "annotations"))
    return CocoFile(file, raw) if shape else None
