"""Everything that an image's outcome rests on, in one zip file that can be read and checked without a box."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from framegate.ingest.evidencepage import index_page
from framegate.ingest.imageviews import image_document
from framegate.ingest.pictures import Detection
from framegate.ingest.storedzip import Member
from framegate.kernel.audit import Seal, moment, proof
from framegate.kernel.blobkeys import EXTENSIONS
from framegate.kernel.errors import BlobMissing
from framegate.kernel.retention import Part
from framegate.kernel.states import ImageState
from framegate.ports.audit import AuditFilter, AuditLog
from framegate.ports.blobs import Blobs
from framegate.ports.registry import Registry
from framegate.ports.store import ImageRecord, Policies

MANIFEST: Final = "MANIFEST.sha256"
#: An image has a handful; exports of it are entries too.
_MOST_ENTRIES: Final = 1000

#: (original, EXIF orientation, detections) -> a JPEG, or None; see `pictures.draw_boxes`.
Draw = Callable[[bytes, int, tuple[Detection, ...]], bytes | None]


@dataclass(frozen=True, slots=True)
class EvidenceSources:
    """Where it is collected."""

    policies: Policies
    registry: Registry
    audit: AuditLog
    blobs: Blobs


def export_evidence(
    sources: EvidenceSources, record: ImageRecord, actor: str, now: datetime, draw: Draw
) -> list[Member]:
    """The bundle's files, for `stored_zip`; all in memory, some MiB more than the original. Blocks.

    Audited first: nobody gets one without an entry. An original that is gone or changed does not keep the rest back.
    """
    facts = record.facts
    sources.audit.add(facts.facility, actor, "evidence.exported", str(facts.image_id), {"sha256": facts.sha256})
    shown = image_document(record)
    documents: dict[str, Any] = {
        "record.json": shown,
        "policy.json": _policy(sources, record),
        "model.json": _models(sources, record),
        "audit.json": _audit(sources.audit, record),
    }
    erased = record.erased(Part.ORIGINAL)
    # Of an erased one the file may still be there for a moment.
    original = None if erased else _original(sources.blobs, facts.blob_key)
    members, state = [], "erased" if erased else "missing"
    if original is not None:
        members.append((f"original.{EXTENSIONS[facts.media_type]}", original))
        state = "unchanged" if sha256(original).hexdigest() == facts.sha256 else "changed"
        # Only what is still the file that a child process has decoded, completely and strictly, is decoded here.
        if record.state is ImageState.DECIDED and state == "unchanged":
            drawn = draw(original, facts.orientation, record.detections)
            members += [("annotated.jpg", drawn)] if drawn is not None else []
    members += [(name, _json(document)) for name, document in documents.items()]
    names = [name for name, _ in members]
    page = index_page(
        documents,
        names,
        original=state,
        erasures=record.erasures,
        exported_by=actor,
        exported_at=moment(now),
    )
    members.insert(0, ("index.html", page.encode()))
    return [*members, (MANIFEST, _manifest(members))]


def bundle_name(record: ImageRecord) -> str:
    """What the file is called."""
    return f"evidence-{record.facts.image_id}.zip"


def _original(blobs: Blobs, key: str) -> bytes | None:
    try:
        return blobs.get(key)
    except BlobMissing:
        return None


def _policy(sources: EvidenceSources, record: ImageRecord) -> dict[str, Any] | None:
    if record.policy_version is None:
        return None
    found = sources.policies.policy(record.facts.facility, record.policy_version)
    return (
        None
        if found is None
        else {
            "facility": found.facility,
            "version": found.version,
            "created_at": moment(found.created_at),
            "created_by": found.created_by,
            "document": found.document,
        }
    )


def _models(sources: EvidenceSources, record: ImageRecord) -> dict[str, Any]:
    """Of every model that had a part in it: what it is, and who vouched for it when."""
    refs = dict.fromkeys(
        ref
        for ref in (record.model, *(look.model for look in record.looks), *(label.model for label in record.labels))
        if ref is not None
    )
    inspected = {"model": record.model, "sha256": record.model_sha256, "engine": record.engine}
    return {"inspected_by": inspected, "models": [_model(sources.registry, ref) for ref in refs]}


def _model(registry: Registry, ref: str) -> dict[str, Any]:
    found = registry.model(ref)
    if found is None:
        return {"ref": ref, "registered": False}
    return {
        "ref": ref,
        "registered": True,
        "sha256": found.sha256,
        "size_bytes": found.size_bytes,
        "state": str(found.state),
        "registered_at": moment(found.registered_at),
        "registered_by": found.registered_by,
        "manifest": found.manifest,
        "history": [
            {"at": moment(event.at), "actor": event.actor, "action": event.action, "body": event.body}
            for event in registry.events(ref)
        ],
    }


def _audit(log: AuditLog, record: ImageRecord) -> dict[str, Any]:
    where = AuditFilter(frozenset({record.facts.facility}), object=str(record.facts.image_id))
    entries = log.entries(where, _MOST_ENTRIES + 1)
    seal: Seal | None = None
    proofs = []
    for entry in entries[:_MOST_ENTRIES]:
        if seal is None or entry.sequence > seal.last:
            seal = log.seal_of(entry.sequence)
        proofs.append(proof(entry, seal))
    return {"entries": proofs, "complete": len(entries) <= _MOST_ENTRIES}


def _json(document: Any) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def _manifest(members: list[Member]) -> bytes:
    def lines() -> Iterator[str]:
        for name, data in members:
            yield f"{sha256(data).hexdigest()}  {name}\n"

    return "".join(lines()).encode()
