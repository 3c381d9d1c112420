"""The formats that labels are written in: those that `framegate.models.labels` and `train` read."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final, Protocol

import yaml

from framegate.kernel.reviews import Box
from framegate.models.feedback.folder import ExportFolder
from framegate.models.feedback.truth import Truth

SPLITS: Final = ("train", "val")


class Spool:
    """Entries of a list that is too long for memory, one a line, until it is known what comes before them."""

    def __init__(self, folder: ExportFolder) -> None:
        self._file = folder.scratch()
        self.count = 0

    def add(self, entry: Any) -> None:
        """Anything that JSON can say."""
        self._file.write(("" if self.count == 0 else ",\n") + json.dumps(entry))
        self.count += 1

    def pour(self, into: IO[str]) -> None:
        """As a JSON list."""
        self._file.seek(0)
        into.write("[\n")
        while piece := self._file.read(1 << 20):
            into.write(piece)
        into.write("\n]")


def write_json(folder: ExportFolder, name: str, head: dict[str, Any], lists: dict[str, Spool]) -> None:
    """A document whose long lists come last."""
    with folder.part(name).open("w", encoding="utf-8") as file:
        file.write(json.dumps(head, indent=1)[:-2] + ",\n")
        for n, (key, spool) in enumerate(lists.items()):
            file.write((",\n" if n else "") + f"{json.dumps(key)}: ")
            spool.pour(file)
        file.write("\n}\n")
    folder.finish(name)


@dataclass(frozen=True, slots=True)
class Example:
    """An image that is written; `stem` is its name without ending."""

    stem: str
    width: int  #: upright
    height: int
    split: str
    truth: Truth


class Layout(Protocol):
    """One format."""

    needs_boxes: bool

    def place(self, example: Example) -> str:
        """The folder of its picture."""
        ...

    def add(self, example: Example, picture: str) -> None:
        """Its labels."""
        ...

    def finish(self) -> None:
        """What stands for all of them."""
        ...


class YoloLayout:
    """images/, labels/ with a file for each image, and data.yaml."""

    needs_boxes = True

    def __init__(self, folder: ExportFolder, classes: Sequence[str]) -> None:
        self._folder, self._classes = folder, list(classes)
        for split in SPLITS:
            (folder.root / "images" / split).mkdir(parents=True, exist_ok=True)

    def place(self, example: Example) -> str:
        """See the protocol."""
        return f"images/{example.split}"

    def add(self, example: Example, picture: str) -> None:
        """An empty file says that there is no damage."""
        rows = [
            f"{self._classes.index(name)} {(x1 + x2) / 2 / example.width:.6f} {(y1 + y2) / 2 / example.height:.6f} "
            f"{(x2 - x1) / example.width:.6f} {(y2 - y1) / example.height:.6f}\n"
            for name, (x1, y1, x2, y2) in _boxes(example)
        ]
        self._folder.write(f"labels/{example.split}/{example.stem}.txt", "".join(rows).encode())

    def finish(self) -> None:
        """See the protocol."""
        description = {"train": "images/train", "val": "images/val", "names": self._classes}
        self._folder.write("data.yaml", yaml.safe_dump(description, sort_keys=False).encode())


class CocoLayout:
    """images/ and annotations/ with a file for each split."""

    needs_boxes = True

    def __init__(self, folder: ExportFolder, classes: Sequence[str]) -> None:
        self._folder, self._classes = folder, list(classes)
        self._images = {split: Spool(folder) for split in SPLITS}
        self._annotations = {split: Spool(folder) for split in SPLITS}

    def place(self, example: Example) -> str:
        """See the protocol."""
        return f"images/{example.split}"

    def add(self, example: Example, picture: str) -> None:
        """See the protocol."""
        images, annotations = self._images[example.split], self._annotations[example.split]
        name = picture.removeprefix("images/")
        images.add({"id": images.count + 1, "file_name": name, "width": example.width, "height": example.height})
        for label, (x1, y1, x2, y2) in _boxes(example):
            corners = [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)]
            annotations.add(
                {
                    "id": annotations.count + 1,
                    "image_id": images.count,
                    "category_id": self._classes.index(label) + 1,
                    "bbox": corners,
                    "area": round((x2 - x1) * (y2 - y1), 3),
                    "iscrowd": 0,
                }
            )

    def finish(self) -> None:
        """See the protocol."""
        categories = [{"id": n, "name": name} for n, name in enumerate(self._classes, 1)]
        for split in SPLITS:
            lists = {"images": self._images[split], "annotations": self._annotations[split]}
            write_json(self._folder, f"annotations/{split}.json", {"categories": categories}, lists)


class FoldersLayout:
    """damaged/ and intact/: whole images, also those of which nobody knows where the damage is."""

    needs_boxes = False

    def __init__(self, folder: ExportFolder, classes: Sequence[str]) -> None:
        for name in ("damaged", "intact"):
            (folder.root / name).mkdir(exist_ok=True)

    def place(self, example: Example) -> str:
        """See the protocol."""
        return "damaged" if example.truth.damaged else "intact"

    def add(self, example: Example, picture: str) -> None:
        """The folder says it all."""

    def finish(self) -> None:
        """Nothing stands for all."""


_Any = YoloLayout | CocoLayout | FoldersLayout
LAYOUTS: Final[Mapping[str, type[_Any]]] = {"yolo": YoloLayout, "coco": CocoLayout, "folders": FoldersLayout}


def _boxes(example: Example) -> Iterable[tuple[str, Box]]:
    """Cut off at the picture's edges; what has no area there is none."""
    for drawn in example.truth.boxes or ():
        x1, y1, x2, y2 = drawn.box
        x1, x2 = max(0.0, x1), min(float(example.width), x2)
        y1, y2 = max(0.0, y1), min(float(example.height), y2)
        if x1 < x2 and y1 < y2:
            yield drawn.name, (x1, y1, x2, y2)
