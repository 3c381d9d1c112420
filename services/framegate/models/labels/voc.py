"""Pascal VOC: an XML file for each image. Corners count from one and are part of the box."""

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from framegate.kernel.errors import ConfigurationError
from framegate.models.labels.model import IMAGE_SUFFIXES, Box, Collector, LabelledSet, number

_LINE = "\0line"  # no attribute of a document can have this name


def find_voc(root: Path) -> list[Path] | None:
    """The annotation files, None when there are none."""
    files = sorted(root.rglob("*.xml"))
    return files or None


def read_voc(collector: Collector, files: list[Path]) -> LabelledSet:
    """`<object>` with `<name>` and `<bndbox>`; other elements are not looked at. No DTD, no entities."""
    for file in files:
        tree = _parse(file)
        path = _image(collector.root, file, tree)
        size = [int(number(tree.findtext(f"size/{side}") or 0, str(file))) for side in ("width", "height")]
        look = collector.look(path, str(file), (size[0], size[1]))
        if look is not None:
            collector.add(path, look, [_box(entry, file, collector) for entry in tree.iter("object")])
    return collector.done("voc")


def _box(entry: Element, file: Path, collector: Collector) -> Box:
    where = f"{file}, line {entry.get(_LINE)}"
    name, corners = entry.findtext("name"), entry.find("bndbox")
    if not name or corners is None:
        raise ConfigurationError(f"{where}: the object has no <name> or no <bndbox>")
    x1, y1, x2, y2 = (number(corners.findtext(key), where) for key in ("xmin", "ymin", "xmax", "ymax"))
    return Box(collector.class_id(name.strip(), where), x1 - 1, y1 - 1, x2, y2, where)


def _image(root: Path, file: Path, tree: Element) -> Path:
    name = Path((tree.findtext("filename") or "").strip().replace("\\", "/")).name
    names = [name] if name else [file.stem + suffix for suffix in sorted(IMAGE_SUFFIXES)]
    folders = [
        file.parent,
        root / "JPEGImages",
        root / "images",
        root,
        file.parent.parent / "JPEGImages",
        file.parent.parent,
    ]
    for candidate in (folder / name for folder in folders for name in names):
        if candidate.is_file():
            return candidate
    raise ConfigurationError(f"{file}: its image {names[0]} is neither beside it nor in {root / 'JPEGImages'}: add it")


def _parse(file: Path) -> Element:
    """Through expat itself: it knows the lines, and a document type ends it before any entity is declared."""
    builder, parser = TreeBuilder(), expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        builder.start(tag, {**attributes, _LINE: str(parser.CurrentLineNumber)})

    def refuse(*_: Any) -> None:
        raise ConfigurationError(f"{file} has a document type, which labels do not need and which could be an attack")

    parser.StartElementHandler, parser.EndElementHandler = start, builder.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = builder.data, refuse
    try:
        parser.Parse(file.read_bytes(), True)
        tree = builder.close()
    except (OSError, expat.ExpatError) as error:
        raise ConfigurationError(f"cannot read the labels {file}: {error}") from error
    if tree.tag != "annotation":
        raise ConfigurationError(f"{file} is no Pascal VOC file: it begins with <{tree.tag}>, not <annotation>")
    return tree
