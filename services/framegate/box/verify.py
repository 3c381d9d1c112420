"""`verify`: does every promise hold for what is stored?"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from framegate.bootstrap import Stores
from framegate.kernel.errors import BlobMissing
from framegate.kernel.ids import ImageId
from framegate.ports.blobs import Blobs
from framegate.ports.upkeep import Check, Conservation, StoredOriginal

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found."""

    conservation: Conservation
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is lost and no invariant is broken."""
        return self.conservation.lost == 0 and not any(check.violations for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {"holds": self.holds, **asdict(self.conservation), "checks": [asdict(check) for check in self.checks]}


def verify(stores: Stores, blobs: Blobs, *, hash_blobs: bool) -> Report:
    """Conservation, the invariants in SQL, and the stored originals (their sha256 too, if asked: reads every file)."""
    checks = [*stores.upkeep.check_invariants(), _check_blobs(stores, blobs, hash_blobs)]
    return Report(stores.upkeep.conservation(), tuple(checks))


def _check_blobs(stores: Stores, blobs: Blobs, hash_blobs: bool) -> Check:
    broken = [str(one.image_id) for one in _originals(stores) if not _is_as_recorded(blobs, one, hash_blobs)]
    whole = " and hashes to its row" if hash_blobs else ""
    meaning = f"every image's original is stored{whole}, unless it was erased and is gone"
    return Check("originals", meaning, len(broken), tuple(broken[:10]))


def _is_as_recorded(blobs: Blobs, original: StoredOriginal, hash_blobs: bool) -> bool:
    if original.there is None:
        return True
    if not original.there or not hash_blobs:
        return blobs.exists(original.key) is original.there
    try:
        return hashlib.sha256(blobs.get(original.key)).hexdigest() == original.sha256
    except BlobMissing:
        return False


def _originals(stores: Stores) -> Iterator[StoredOriginal]:
    after: ImageId | None = None
    while page := stores.upkeep.blob_keys(after, _PAGE):
        yield from page
        after = page[-1].image_id
