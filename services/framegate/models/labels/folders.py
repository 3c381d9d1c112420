"""Labels for whole images: the name of the folder is the label."""

from collections.abc import Collection
from typing import Final

from framegate.kernel.errors import ConfigurationError
from framegate.models.labels.model import Collector, LabelledSet, images_in

INTACT: Final = frozenset(("intact", "undamaged", "ok", "good", "normal", "clean", "pass", "negative", "no_damage"))
DAMAGED: Final = frozenset(("damaged", "damage", "defect", "defective", "bad", "broken", "fail", "ng", "positive"))


def read_folders(collector: Collector, defects: Collection[str]) -> LabelledSet:
    """`<root>/<label>/**/*.jpg`; a label is one of the words above or one of the classes that are `defects`."""
    seen = set()
    for folder in sorted(entry for entry in collector.root.iterdir() if entry.is_dir()):
        paths = images_in(folder)
        if not paths:
            continue
        damaged = _is_damage(folder.name, defects, str(folder))
        seen.add(damaged)
        for path in paths:
            look = collector.look(path, str(folder))
            if look is not None:
                collector.add(path, look, (), damaged)
    if len(seen) < 2:
        missing = "intact" if True in seen else "damaged"
        raise ConfigurationError(f"{collector.root} has no folder of {missing} images: both kinds are needed")
    return collector.done("folders")


def _is_damage(label: str, defects: Collection[str], where: str) -> bool:
    word = label.lower().replace("-", "_").replace(" ", "_")
    if label in defects or word in DAMAGED:
        return True
    if word in INTACT:
        return False
    raise ConfigurationError(
        f"{where}: {label!r} says neither intact nor damaged: name the folder 'intact', 'damaged' or after one of the "
        f"classes that are damage ({', '.join(sorted(defects))})"
    )
