"""Which format a labelled set has, and the way to its reader."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from framegate.kernel.errors import ConfigurationError
from framegate.models.labels.coco import find_coco, read_coco
from framegate.models.labels.folders import read_folders
from framegate.models.labels.model import Collector, LabelledSet, images_in
from framegate.models.labels.voc import find_voc, read_voc
from framegate.models.labels.yolo import find_yolo, read_yolo

_LAYOUTS = """
  YOLO:        images/*.jpg with labels/*.txt, and a data.yaml with the names of the classes
  Pascal VOC:  one .xml for each image, beside it or in Annotations/
  COCO:        one .json with "images", "annotations" and "categories"
  folders:     one folder of images for each label, such as damaged/ and intact/"""


def read_labels(path: Path, classes: Sequence[str], defects: Collection[str]) -> LabelledSet:
    """`path` is the set's folder, or its data.yaml or COCO file; `classes` are the model's, `defects` those that are damage.

    Boxes become pixels of the upright original. Raises `ConfigurationError` that names the file and, where the format has
    lines, the line. What no decoder takes, and copies, are left out by name.
    """
    root = (path if path.is_dir() else path.parent).resolve()
    collector = Collector(root, classes)
    if not path.exists():
        raise ConfigurationError(f"there is no labelled set at {path}: correct --labels")
    read = _reader(path.resolve(), root, defects)
    return read(collector)


def _reader(path: Path, root: Path, defects: Collection[str]) -> Callable[[Collector], LabelledSet]:
    if yolo := find_yolo(path):
        return lambda collector: read_yolo(collector, yolo)
    if coco := find_coco(path):
        return lambda collector: read_coco(collector, coco)
    if path.is_dir():
        if annotations := find_voc(path):
            return lambda collector: read_voc(collector, annotations)
        if any(images_in(folder) for folder in root.iterdir() if folder.is_dir()):
            return lambda collector: read_folders(collector, defects)
    raise ConfigurationError(f"{path} has none of the layouts that are understood:{_LAYOUTS}")
