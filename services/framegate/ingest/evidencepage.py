"""`index.html` of an evidence bundle: to be read without a network, by people who never heard of Framegate."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from framegate.kernel.audit import moment
from framegate.kernel.retention import Erasure, Part

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0;
border-bottom: 1px solid #d8dee4; overflow-wrap: anywhere; } th { white-space: nowrap; } img { max-width: 100%; }
code, pre { font: 13px/1.45 ui-monospace, monospace; } pre { background: #f6f8fa; padding: .75rem; white-space: pre-wrap; }
.warning { border-left: 4px solid #b35900; padding-left: .75rem; }
"""
_STAYS: Final = "What was recorded of it is below."
_ORIGINAL: Final = {
    "unchanged": "The original is in this file, byte for byte as it was received: its SHA-256 is the recorded one.",
    "changed": "The stored original is NOT the one that was received: its SHA-256 differs from the recorded one.",
    "missing": f"The original is not stored any more, and there is no record that it was erased. {_STAYS}",
}
_FACTS: Final = (
    ("Image", "id"), ("Facility", "facility"), ("Camera", "camera"), ("State", "state"), ("Verdict", "verdict"),
    ("Effective verdict", "effective_verdict"), ("Reason", "reason"), ("In words", "detail"),
    ("Captured", "captured_at"), ("Received", "received_at"),
    ("Decided", "decided_at"), ("SHA-256 of the original", "sha256"), ("Size in bytes", "size_bytes"),
    ("Width", "width"), ("Height", "height"),
)  # fmt: skip


def index_page(
    documents: Mapping[str, Any],
    names: Sequence[str],
    *,
    original: str,
    erasures: Sequence[Erasure],
    exported_by: str,
    exported_at: str,
) -> str:
    """`documents` by file name, as they are in the bundle beside the other `names`. Everything in them is foreign text.

    `original`: unchanged, changed, missing or erased.
    """
    record = documents["record.json"]
    sections = (
        _picture(names, original, erasures),
        _overturned(record),
        _pairs(*((title, record[name]) for title, name in _FACTS)),
        _people(record["reviews"]),
        "<h2>What came with the image</h2>" + _metadata(record, erasures),
        _findings(record),
        _model(documents["model.json"]),
        _policy(documents["policy.json"]),
        "<h2>How the picture was prepared for the model</h2>" + _code(record["prepared"]),
        "<h2>Quality of the picture</h2>" + _code(record["quality"]),
        _timeline(record),
        _audit(documents["audit.json"]),
        _files(names),
    )
    title = f"Evidence of image {record['id']}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"script-src 'none'; object-src 'none'; connect-src 'none'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>"
        f"<p>Exported by {escape(exported_by)} at {escape(exported_at)}, by Framegate.</p>\n"
        + "\n".join(sections)
        + "\n</body></html>\n"
    )


def _picture(names: Sequence[str], original: str, erasures: Sequence[Erasure]) -> str:
    warning = "" if original == "unchanged" else ' class="warning"'
    told = _ORIGINAL[original] if original in _ORIGINAL else f"{_erased(erasures, Part.ORIGINAL)} {_STAYS}"
    said = f"<p{warning}>{escape(told)}</p>"
    if "annotated.jpg" not in names:
        return said
    return said + '<p><img src="annotated.jpg" alt="The picture with what was found drawn on it"></p>'


def _metadata(record: Mapping[str, Any], erasures: Sequence[Erasure]) -> str:
    erased = _erased(erasures, Part.METADATA)
    return f"<p>{escape(erased)}</p>" if erased else _pairs(*sorted(record["metadata"].items()))


def _erased(erasures: Sequence[Erasure], part: Part) -> str:
    """Empty where it was not."""
    found = next((erasure for erasure in erasures if erasure.part is part), None)
    what = "The original was" if part is Part.ORIGINAL else "The values were"
    return "" if found is None else f"{what} erased on {moment(found.at)} by {found.actor} because: {found.reason}."


def _overturned(record: Mapping[str, Any]) -> str:
    automatic, effective = record["verdict"], record["effective_verdict"]
    if automatic == effective:
        return ""
    undone = {review["undoes"] for review in record["reviews"]}
    last = next(
        review for review in reversed(record["reviews"])
        if review["decision"] == effective and review["id"] not in undone
    )  # fmt: skip
    left = "The automatic inspection left this image to people" if automatic == "review" else (
        f"The automatic verdict was overturned: it was {automatic}"
    )  # fmt: skip
    who = f"{last['reviewer']} decided {effective} at {last['at']}"
    return f'<p class="warning">{escape(f"{left}; {who}. The effective verdict is {effective}.")}</p>'


def _people(reviews: Sequence[Mapping[str, Any]]) -> str:
    undone = {review["undoes"]: review for review in reviews if review["undoes"]}
    rows = _rows(("at", "by", "decision", "class", "note", "taken back"), (
        (
            one["at"], one["reviewer"], one["decision"], one["class"], one["note"],
            undone[one["id"]]["at"] if one["id"] in undone else "no",
        )
        for one in reviews if not one["undoes"]
    ))  # fmt: skip
    return f"<h2>What people decided</h2>{rows}"


def _findings(record: Mapping[str, Any]) -> str:
    found = _rows(("class", "confidence", "box: left, top, right, bottom in pixels"), (
        (one["class"], one["confidence"], ", ".join(map(str, one["box"]))) for one in record["detections"]
    ))  # fmt: skip
    labels = _rows(("detection", "class", "confidence", "model"), (
        ("whole picture" if one["detection"] is None else one["detection"] + 1, one["class"], one["confidence"], one["model"])
        for one in record["labels"]
    ))  # fmt: skip
    looks = _rows(("region", "what came of it alone", "model"), (
        ("whole picture" if one["region"] is None else ", ".join(map(str, one["region"])), one["said"], one["model"])
        for one in record["looks"]
    ))  # fmt: skip
    return (
        f"<h2>What was found</h2>{found}"
        + (f"<h2>What it was called</h2>{labels}" if record["labels"] else "")
        + (f"<h2>The two looks</h2>{looks}" if record["looks"] else "")
    )


def _model(document: Mapping[str, Any]) -> str:
    inspected = document["inspected_by"]
    whole = _pairs(("Model", inspected["model"]), ("SHA-256", inspected["sha256"]), ("Engine", inspected["engine"]))
    history = _rows(("model", "at", "by", "step"), (
        (model["ref"], event["at"], event["actor"], event["action"])
        for model in document["models"] for event in model.get("history", ())
    ))  # fmt: skip
    return f"<h2>The model that looked</h2>{whole}{history}"


def _policy(document: Mapping[str, Any] | None) -> str:
    if document is None:
        return "<h2>The rules that decided</h2><p>No policy had a part in this outcome.</p>"
    facts = _pairs(("Version", document["version"]), ("By", document["created_by"]), ("Since", document["created_at"]))
    return f"<h2>The rules that decided</h2>{facts}{_code(document['document'])}"


def _timeline(record: Mapping[str, Any]) -> str:
    steps = [
        (at, name.removesuffix("_at").replace("_", " "), "")
        for name, at in record["timings"].items()
        if name.endswith("_at")
    ]
    steps += [
        (one.get("at"), f"{one.get('stage')}: {one.get('ending')}", one.get("cause")) for one in record["history"]
    ]
    known = sorted((step for step in steps if step[0]), key=lambda step: str(step[0]))
    return "<h2>Timeline (UTC)</h2>" + _rows(("at", "step", "more"), known)


def _audit(document: Mapping[str, Any]) -> str:
    rows = _rows(("entry", "at", "by", "what", "seal"), (
        (
            one["entry"]["sequence"], one["entry"]["at"], one["entry"]["actor"], one["entry"]["action"],
            "not sealed yet" if one["seal"] is None else f"{one['seal']['number']}: {one['seal']['sha256']}",
        )
        for one in document["entries"]
    ))  # fmt: skip
    rest = "" if document["complete"] else "<p>Only the first entries are shown.</p>"
    return f"<h2>Audit</h2>{rows}{rest}"


def _files(names: Sequence[str]) -> str:
    listed = "".join(f"<li><code>{escape(name)}</code></li>" for name in names)
    return (
        f"<h2>The files</h2><ul>{listed}</ul><p>Nothing in this bundle was changed on its way if "
        "<code>sha256sum -c MANIFEST.sha256</code> says OK for every file. "
        "<code>framegate audit check audit.json</code> computes the audit's proofs again. They hold against the operator's "
        "audit if <code>framegate audit verify --expect SEAL</code> knows the hash of each seal.</p>"
    )


def _pairs(*pairs: tuple[str, Any]) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{_cell(value)}</td></tr>" for name, value in pairs)
    return f"<table>{rows}</table>" if rows else "<p>Nothing.</p>"


def _rows(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows)
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    return f"<table><tr>{titles}</tr>{body}</table>" if body else "<p>Nothing.</p>"


def _cell(value: Any) -> str:
    return "none" if value is None else escape(str(value))


def _code(document: Any) -> str:
    return f"<pre>{escape(json.dumps(document, ensure_ascii=False, indent=2))}</pre>" if document else "<p>Nothing.</p>"
