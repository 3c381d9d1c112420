"""The audit's entries, and the chain of seals that proves them.

A seal covers the entries of a range of sequence numbers: a Merkle tree over them (RFC 6962 §2.1, SHA-256), chained with
the seal before. Everything is hashed in one canonical form, so anybody can compute it again: docs/audit.md.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from framegate.kernel.canonical import canonical_json
from framegate.kernel.ids import FacilityId

#: What the first seal names as the one before.
GENESIS: Final = bytes(32)
#: The only member of a body that was taken out later; its value is the SHA-256 of what stood there.
REDACTED: Final = "redacted_sha256"
_SEAL: Final = b"framegate audit seal 1\n"
_LEAF, _NODE = b"\x00", b"\x01"
_SHA256: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to what."""

    sequence: int
    id: UUID
    facility: FacilityId
    actor: str
    action: str
    object: str
    body: Mapping[str, Any]
    at: datetime

    @property
    def redacted(self) -> bool:
        """Whether only the digest of the body is left."""
        # What was changed past the rules may be any JSON.
        digest = self.body.get(REDACTED) if isinstance(self.body, Mapping) and len(self.body) == 1 else None
        return isinstance(digest, str) and _SHA256.fullmatch(digest) is not None

    def hashed(self) -> dict[str, Any]:
        """What is hashed. The body is in it by its digest, so it may be taken out and the entry still be proved."""
        digest = self.body[REDACTED] if self.redacted else sha256(canonical_json(self.body)).hexdigest()
        return {
            "action": self.action,
            "actor": self.actor,
            "at": moment(self.at),
            "body_sha256": digest,
            "facility": self.facility,
            "id": str(self.id),
            "object": self.object,
            "sequence": self.sequence,
        }

    def to_json(self) -> dict[str, Any]:
        """With its body, for people and programs."""
        return self.hashed() | {"body": self.body}

    def leaf(self) -> bytes:
        """Its hash."""
        return sha256(_LEAF + canonical_json(self.hashed())).digest()


def moment(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, always all six."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Seal:
    """Over the entries with the numbers `first` to `last`, except `missing`: numbers that nothing was committed under."""

    number: int  #: from 1
    first: int
    last: int
    missing: tuple[tuple[int, int], ...]  #: ranges, both ends included
    leaves: tuple[bytes, ...]  #: the hash of each entry, in their order
    root: bytes
    previous: bytes  #: the hash of the seal before
    sealed_at: datetime
    hash: bytes = b""  #: as it is stored; what the next seal names

    def hashed(self) -> dict[str, Any]:
        """What is hashed; `leaves` are in it by their root."""
        return {
            "entries": len(self.leaves),
            "first": self.first,
            "last": self.last,
            "missing": [list(gap) for gap in self.missing],
            "number": self.number,
            "previous": self.previous.hex(),
            "root": self.root.hex(),
            "sealed_at": moment(self.sealed_at),
        }

    def computed(self) -> bytes:
        """What `hash` must be."""
        return sha256(_SEAL + canonical_json(self.hashed())).digest()

    def sequences(self) -> Iterator[int]:
        """The number of each of `leaves`."""
        at = self.first
        for start, end in (*self.missing, (self.last + 1, self.last + 1)):
            yield from range(at, start)
            at = end + 1

    def faults(self) -> list[str]:
        """What is wrong with it by itself."""
        found = []
        # By arithmetic: a range that somebody made endless is not walked through.
        covered = self.last - self.first + 1 - sum(end - start + 1 for start, end in self.missing)
        ends = (self.first - 1, *(number for gap in self.missing for number in gap), self.last + 1)
        in_order = all(a < b for a, b in zip(ends[::2], ends[1::2], strict=True))
        if covered != len(self.leaves) or not in_order or any(start > end for start, end in self.missing):
            found.append("its numbers and its entries are not as many")
        if not self.leaves or merkle_root(self.leaves) != self.root:
            found.append("its root is not that of its entries")
        if self.computed() != self.hash:
            found.append("its hash is not that of what it says")
        return found


def seal_entries(before: Seal | None, entries: Sequence[AuditEntry], sealed_at: datetime) -> Seal:
    """The seal after `before`, over at least one entry; `entries` are in order, and no further can come between them."""
    first = before.last + 1 if before else 1
    missing, expected = [], first
    for entry in entries:
        if entry.sequence > expected:
            missing.append((expected, entry.sequence - 1))
        expected = entry.sequence + 1
    leaves = tuple(entry.leaf() for entry in entries)
    seal = Seal(
        number=before.number + 1 if before else 1,
        first=first,
        last=entries[-1].sequence,
        missing=tuple(missing),
        leaves=leaves,
        root=merkle_root(leaves),
        previous=before.hash if before else GENESIS,
        sealed_at=sealed_at,
    )
    return replace(seal, hash=seal.computed())


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Of hashed leaves, at least one."""
    level = list(leaves)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def merkle_path(leaves: Sequence[bytes], index: int) -> list[tuple[str, bytes]]:
    """What is hashed with a leaf on the way to the root: ("left" or "right", hash)."""
    level, path = list(leaves), []
    while len(level) > 1:
        beside = index ^ 1
        if beside < len(level):
            path.append(("left" if beside < index else "right", level[beside]))
        level, index = _above(level), index // 2
    return path


def climb(leaf: bytes, path: Iterable[tuple[str, bytes]]) -> bytes:
    """The root that `path` leads to."""
    for side, beside in path:
        leaf = sha256(_NODE + (beside + leaf if side == "left" else leaf + beside)).digest()
    return leaf


def _above(level: Sequence[bytes]) -> list[bytes]:
    # One that is left over goes up as it is, which gives the tree of RFC 6962.
    paired = [sha256(_NODE + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
    return paired + list(level[len(paired) * 2 :])


def proof(entry: AuditEntry, seal: Seal | None) -> dict[str, Any]:
    """An entry with what is needed to compute it up to its seal's hash. Tells nothing of others but their hashes."""
    leaf = entry.leaf()
    shown: dict[str, Any] = {"entry": entry.to_json(), "leaf_sha256": leaf.hex(), "path": None, "seal": None}
    if seal is not None:
        numbers = zip(range(len(seal.leaves)), seal.sequences(), strict=False)
        index = next((i for i, number in numbers if number == entry.sequence), None)
        path = merkle_path(seal.leaves, index) if index is not None else []
        shown["path"] = [{"side": side, "sha256": beside.hex()} for side, beside in path]
        shown["seal"] = seal.hashed() | {"sha256": seal.hash.hex()}
    return shown


def check_proof(shown: Mapping[str, Any]) -> bool:
    """Whether a `proof` holds together; False also for one without a seal."""
    entry, seal = shown["entry"], shown["seal"]
    if seal is None:
        return False
    at = datetime.fromisoformat(entry["at"])
    stated = ("sequence", "actor", "action", "object", "body")
    rebuilt = AuditEntry(
        id=UUID(entry["id"]), facility=entry["facility"], at=at, **{name: entry[name] for name in stated}
    )
    path = [(step["side"], bytes.fromhex(step["sha256"])) for step in shown["path"]]
    sealed = {name: value for name, value in seal.items() if name != "sha256"}
    return all(
        (
            rebuilt.hashed()["body_sha256"] == entry["body_sha256"],
            rebuilt.leaf().hex() == shown["leaf_sha256"],
            climb(rebuilt.leaf(), path).hex() == seal["root"],
            sha256(_SEAL + canonical_json(sealed)).hexdigest() == seal["sha256"],
        )
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that does not hold."""

    what: str  #: changed, removed, inserted
    sequence: int | None  #: of the entry; None: it is the seal
    seal: int
    detail: str

    def __str__(self) -> str:
        about = f"seal {self.seal}" if self.sequence is None else f"entry {self.sequence} (seal {self.seal})"
        return f"{about} was {self.what}: {self.detail}"


def seal_fault(before: Seal | None, seal: Seal) -> Fault | None:
    """Whether `seal` follows `before` and holds by itself."""
    number = before.number + 1 if before else 1
    if seal.number != number:
        return Fault("removed", None, number, f"seal {seal.number} is the next one there is")
    if seal.previous != (before.hash if before else GENESIS):
        wrong = before or seal
        return Fault("changed", None, wrong.number, f"seal {seal.number} names another one before it")
    if seal.first != (before.last + 1 if before else 1):
        return Fault("changed", None, seal.number, "it does not begin where the one before it ends")
    if faults := seal.faults():
        return Fault("changed", None, seal.number, "; ".join(faults))
    return None


def entry_fault(seal: Seal, entries: Iterable[AuditEntry]) -> Fault | None:
    """The first of the entries in a seal's range, in order, that is not as it was sealed. Reads no further than that."""
    expected = zip(seal.sequences(), seal.leaves, strict=True)
    number, leaf = next(expected, (None, b""))
    for entry in entries:
        if number is None or entry.sequence < number:
            return Fault("inserted", entry.sequence, seal.number, f"{_told(entry)}: it was not there to be sealed")
        if entry.sequence > number:
            return Fault("removed", number, seal.number, "it was sealed and is gone")
        if entry.leaf() != leaf:
            return Fault("changed", number, seal.number, f"{_told(entry)}: it is not what was sealed")
        number, leaf = next(expected, (None, b""))
    return None if number is None else Fault("removed", number, seal.number, "it was sealed and is gone")


def _told(entry: AuditEntry) -> str:
    return f"{entry.action} of {entry.object} by {entry.actor}"
