"""Labels from the review desk: pictures, what people said about them, and where each label comes from."""

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import cv2

from framegate.gate.policy import Policy
from framegate.kernel.blobkeys import EXTENSIONS
from framegate.kernel.errors import BlobMissing, ConfigurationError, InvalidFrame
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.inspection import ImageFacts
from framegate.models.feedback.folder import ExportFolder
from framegate.models.feedback.layouts import LAYOUTS, Example, Layout, Spool, write_json
from framegate.models.feedback.provenance import COLUMNS, WORDS, provenance
from framegate.models.feedback.truth import Truth, damage_classes, truth_of
from framegate.ports.blobs import Blobs
from framegate.ports.reviews import DecidedFilter, DecidedImage, Reviews
from framegate.ports.store import Policies
from framegate.preprocess.decode import decode
from framegate.preprocess.sizes import upright_size

_PAGE: Final = 200
#: Of this many groups one is held back.
_HELD_BACK_OF: Final = 5
_SAME_BYTES: Final = "a newer image has the same bytes: what people said about that one counts"
_GONE: Final = "the original is gone"
_CHANGED: Final = "the original is not what was accepted: its hash differs"

#: Images done, images in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class LabelSources:
    """Where labels and pictures come from."""

    reviews: Reviews
    policies: Policies
    blobs: Blobs


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is exported."""

    facilities: tuple[FacilityId, ...]
    form: str  #: yolo, coco, folders
    camera: CameraId | None = None
    since: datetime | None = None  #: when the image was received
    until: datetime | None = None
    classes: tuple[str, ...] = ()  #: empty: every class that is damage
    limit: int | None = None  #: the newest ones, so many
    period: tuple[str | None, str | None] = (None, None)  #: since and until, as they were asked for

    def to_json(self) -> dict[str, Any]:
        """What has to be the same for an export to be gone on with."""
        return {
            "format": self.form,
            "facilities": sorted(self.facilities),
            "camera": self.camera,
            "received": list(self.period),
            "classes": list(self.classes),
            "limit": self.limit,
        }


@dataclass(slots=True)
class Exported:
    """What came of it."""

    classes: tuple[str, ...] = ()
    images: Counter[str] = field(default_factory=Counter)  #: by split
    verdicts: Counter[str] = field(default_factory=Counter)
    boxes: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  #: by reason
    written: int = 0  #: files that were missing or other
    removed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Without what depends on what was there before."""
        counts = {"images": dict(self.images), "verdicts": dict(self.verdicts), "boxes": self.boxes}
        return {"classes": list(self.classes), **counts, "left_out": dict(self.left_out)}


def export_labels(sources: LabelSources, wanted: Wanted, target: Path, progress: Progress) -> Exported:
    """Everything that is final. What is there and right stays, so an export that broke off goes on.

    Memory: a few hundred bytes for each image. Raises `ConfigurationError`, also when the folder is not ours.
    """
    try:
        with ExportFolder(target, wanted.to_json()) as folder:
            return _Export(sources, wanted, folder).run(progress)
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written: {error.strerror or error}") from error


class _Export:
    def __init__(self, sources: LabelSources, wanted: Wanted, folder: ExportFolder) -> None:
        self._sources, self._wanted, self._folder = sources, wanted, folder
        self._policies: dict[tuple[FacilityId, int | None], Policy] = {}
        current = [self._policy(facility, None) for facility in wanted.facilities]
        self._damage, self._harmless = damage_classes(current)
        self._done = Exported()
        self._files, self._left_out = Spool(folder), Spool(folder)

    def run(self, progress: Progress) -> Exported:
        chosen = self._chosen()
        self._done.classes = self._classes()
        layout = LAYOUTS[self._wanted.form](self._folder, self._done.classes)
        with self._folder.part("provenance.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            for n, (decided, said) in enumerate(self._final(chosen)):
                progress(n, len(chosen))
                row = self._put(layout, decided, said) if isinstance(said, Truth) else said
                if isinstance(row, str):
                    self._leave_out(decided, row)
                else:
                    self._files.add(row)
                    table.writerow(row)
        self._folder.finish("provenance.csv")
        progress(len(chosen), len(chosen))
        layout.finish()
        head = {"schema": 1, **self._wanted.to_json(), **self._done.to_json(), "words": WORDS}
        write_json(self._folder, "provenance.json", head, {"files": self._files, "left_out_images": self._left_out})
        self._done.removed = self._folder.remove_others()
        self._done.written = self._folder.written
        return self._done

    def _chosen(self) -> set[ImageId]:
        """What is final now: decisions that become so meanwhile are for the next export. Learns the classes on its way."""
        chosen = set[ImageId]()
        for decided, said in self._final(None):
            chosen.add(decided.record.facts.image_id)
            if isinstance(said, Truth) and not self._wanted.classes:
                self._damage |= {said.name, *(drawn.name for drawn in said.boxes or ())} - {"", *self._harmless}
        return chosen

    def _classes(self) -> tuple[str, ...]:
        """Numbered by name. Nobody is asked about what is no damage, so there are no labels of it."""
        for name in self._wanted.classes:
            if name in self._harmless:
                raise ConfigurationError(f"--classes: {name} is no damage by the policy: people said nothing about it")
        found = tuple(sorted(self._wanted.classes or self._damage))
        if not found and self._wanted.form != "folders":
            raise ConfigurationError(
                "no class is damage by the policy, and no decision names one: there is nothing to label"
            )
        return found

    def _final(self, only: set[ImageId] | None) -> Iterator[tuple[DecidedImage, Truth | str]]:
        """Newest image first, up to `limit` usable ones. Of the same bytes the newest image's decision counts."""
        seen, usable = set[bytes](), 0
        for decided in self._pages():
            if only is not None and decided.record.facts.image_id not in only:
                continue
            said = self._said(decided)
            digest = bytes.fromhex(decided.record.facts.sha256)
            if isinstance(said, Truth) and digest in seen:
                said = _SAME_BYTES
            if isinstance(said, Truth):
                seen.add(digest)
                usable += 1
            yield decided, said
            if usable == self._wanted.limit:
                return

    def _said(self, decided: DecidedImage) -> Truth | str:
        facts = decided.record.facts
        policy = self._policy(facts.facility, decided.record.policy_version)
        said = truth_of(decided, policy, self._harmless)
        if isinstance(said, str):
            return said
        if not LAYOUTS[self._wanted.form].needs_boxes:
            return said.of_class(self._wanted.classes)
        return said.narrowed(self._wanted.classes)

    def _pages(self) -> Iterator[DecidedImage]:
        wanted = self._wanted
        for facility in sorted(wanted.facilities):
            before: ImageId | None = None
            while page := self._sources.reviews.decided(
                DecidedFilter(facility, wanted.camera, wanted.since, wanted.until, before), _PAGE
            ):
                yield from page
                before = page[-1].record.facts.image_id

    def _put(self, layout: Layout, decided: DecidedImage, said: Truth) -> dict[str, Any] | str:
        """Its row of the provenance, or why it is left out."""
        facts = decided.record.facts
        size = upright_size(facts.width, facts.height, facts.orientation)
        group = _group(facts)
        example = Example(facts.sha256, *size, _split(group), said)
        turned = facts.orientation in range(2, 9)
        name = f"{layout.place(example)}/{example.stem}.{'png' if turned else EXTENSIONS[facts.media_type]}"
        sha256 = facts.sha256
        if turned or not self._folder.has(name, sha256):
            try:
                data = self._picture(facts, turned=turned)
            except BlobMissing:
                return _GONE
            except InvalidFrame as error:
                return str(error)
            if data is None:
                return _CHANGED
            sha256 = hashlib.sha256(data).hexdigest()
            self._folder.write(name, data)
        layout.add(example, name)
        self._done.images[example.split] += 1
        self._done.verdicts["fail" if said.damaged else "pass"] += 1
        self._done.boxes += len(said.boxes or ())
        return provenance(decided, example, {"file": name, "file_sha256": sha256, "group": group})

    def _picture(self, facts: ImageFacts, *, turned: bool) -> bytes | None:
        """The bytes as they came in, or, where the file is to be turned, the upright pixels that the pipeline saw.

        None: they are not those that were accepted. Its worker decoded the file before, so that it does no harm here.
        """
        data = self._sources.blobs.get(facts.blob_key)
        if hashlib.sha256(data).hexdigest() != facts.sha256:
            return None
        if not turned:
            return data
        pixels = decode(data, facts.media_type, facts.orientation)
        _, encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        return encoded.tobytes()

    def _policy(self, facility: FacilityId, version: int | None) -> Policy:
        """None: the one that holds."""
        key = facility, version
        if key not in self._policies:
            policies = self._sources.policies
            stored = None if version is None else policies.policy(facility, version)
            stored = stored or policies.current_policy(facility)
            if stored is None:
                raise ConfigurationError(
                    f"{facility} has no policy, so nothing was decided there yet: correct --facility"
                )
            self._policies[key] = Policy.parse(stored.version, stored.document)
        return self._policies[key]

    def _leave_out(self, decided: DecidedImage, why: str) -> None:
        facts = decided.record.facts
        self._done.left_out[why] += 1
        names = {
            "image": str(facts.image_id),
            "sha256": facts.sha256,
            "facility": facts.facility,
            "camera": facts.camera,
        }
        self._left_out.add({**names, "why": why})


def _group(facts: ImageFacts) -> str:
    shipment = facts.metadata.get("shipment")
    return f"{facts.facility}/shipment/{shipment}" if shipment else facts.sha256


def _split(group: str) -> str:
    """The same for ever, however many images come later."""
    held_back = int.from_bytes(hashlib.sha256(b"label-split:" + group.encode()).digest()[:8]) % _HELD_BACK_OF == 0
    return "val" if held_back else "train"
