"""Where each label comes from: a row for each file that is written."""

from collections.abc import Mapping
from typing import Any, Final

from framegate.kernel.reviews import Origin
from framegate.models.feedback.layouts import Example
from framegate.ports.reviews import DecidedImage

_ORIGINS: Final = {Origin.VERDICT: "doubt", Origin.SAMPLE: "blind-sample", Origin.DUPLICATE: "copy-of-overturned"}
#: Of provenance.csv.
COLUMNS: Final = (
    "file", "split", "image", "sha256", "file_sha256", "turned_from", "facility", "camera", "received_at", "group", "verdict",
    "class", "boxes", "boxes_from", "automatic", "origin", "decided_by", "decided_at", "review", "model", "model_sha256",
    "engine", "policy_version", "reused_from",
)  # fmt: skip
#: What the words in it mean, for who reads it without this page.
WORDS: Final = {
    "boxes_from drawn": "a person drew all the damage",
    "boxes_from confirmed": "a person named this class and let stand what the model named here had found of it",
    "boxes_from none": "nothing is there, or (in folders) nobody knows where",
    "origin doubt": "the gate asked: such images are no fair sample of what the cameras send",
    "origin blind-sample": "drawn by chance from automatic passes",
    "origin copy-of-overturned": "it had copied a verdict that people overturned",
    "turned_from": "the EXIF orientation of the original; the file has its pixels upright, without loss, and no EXIF",
    "group": "what is never divided between train and val: a shipment, else the bytes",
}


def provenance(decided: DecidedImage, example: Example, file: Mapping[str, str]) -> dict[str, Any]:
    """`file`: its name, its hash and its group."""
    record, review, said = decided.record, decided.review, example.truth
    facts = record.facts
    found = {
        **file,
        "split": example.split,
        "image": str(facts.image_id),
        "sha256": facts.sha256,
        "turned_from": facts.orientation if facts.orientation in range(2, 9) else None,
        "facility": facts.facility,
        "camera": facts.camera,
        "received_at": facts.received_at.isoformat(),
        "verdict": str(review.decision.choice),
        "class": said.name,
        "boxes": len(said.boxes or ()),
        "boxes_from": said.boxes_from,
        "automatic": record.verdict and str(record.verdict),
        "origin": _ORIGINS[decided.origin],
        "decided_by": review.reviewer,
        "decided_at": review.at.isoformat(),
        "review": str(review.review_id),
        "model": record.model,
        "model_sha256": record.model_sha256,
        "engine": record.engine,
        "policy_version": record.policy_version,
        "reused_from": record.reused_from and str(record.reused_from),
    }
    return {name: found[name] for name in COLUMNS}
