"""Whether a camera or a model is still what it was when its reference was frozen. No clock, no I/O.

Windows are compared with a reference; a finding needs an effect that matters, evidence that it is no chance, enough images,
and the same again in the next window. See `drift_reference` and `drift_learning` for what is usual.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from framegate.kernel.drift_features import Kind, Part, Seen, count, feature, model_bins, picture_bins
from framegate.kernel.drift_learning import learn
from framegate.kernel.drift_reference import Block, Reference, Score
from framegate.kernel.drift_state import (
    Drift,
    DriftChange,
    DriftLimits,
    Finding,
    Learning,
    Shelf,
    Subject,
    Window,
)
from framegate.kernel.histograms import rejected
from framegate.kernel.ids import ImageId, new_uuid7
from framegate.kernel.inspection import Alert

#: The rule of the incident.
DRIFT_RULE: Final = "drift"
#: It ends when the drift does; this is only for what is never seen again.
_WINDOW_S: Final = 30 * 86_400.0
#: Images in a row of another model, or another input, until that is what the camera has now.
_STRANGERS: Final = 20
#: Images that a finding names.
MOST_MOVED: Final = 20


def subjects_of(seen: Seen) -> list[Subject]:
    """Whose windows an image belongs to."""
    camera = Subject(seen.facility, Kind.CAMERA, seen.camera)
    return [camera, *([Subject(seen.facility, Kind.MODEL, seen.model)] if seen.model else [])]


def follow(images: Iterable[Seen], shelf: Shelf, limits: DriftLimits) -> list[DriftChange]:
    """Takes in what ended, in its order."""
    changes: list[DriftChange] = []
    for seen in images:
        for subject in subjects_of(seen):
            drift = shelf.drift(subject)
            if seen.faulty:
                # Before a fault was known, its signs were there: the whole window is in doubt.
                if subject.kind is Kind.CAMERA:
                    drift.window = Window()
                continue
            change = _take(drift, subject, seen, shelf, limits)
            changes += [change] if change else []
    return changes


def learn_anew(
    drift: Drift, subject: Subject, shelf: Shelf, parts: Iterable[Part], now: datetime
) -> DriftChange | None:
    """What comes from now on is usual; what drifts is over. None: nothing drifted."""
    parts = tuple(parts)
    for part in parts:
        drift.parts[part] = Learning(of=drift.parts[part].of if part in drift.parts else None)
        shelf.freeze(subject, part, None)
    drift.window = Window()
    gone = [name for name in drift.holds if feature(name).part in parts]
    for name in gone:
        shelf.end(UUID(drift.holds.pop(name)), now)
    for each in (drift.recent, drift.calm, drift.scores):
        for name in [name for name in each if feature(name).part in parts]:
            del each[name]
    return DriftChange(subject, (), tuple(gone), well=not drift.holds) if gone else None


def alert_about(change: DriftChange) -> Alert | None:
    """What people hear. All findings of a subject are one incident, which ends with the last of them."""
    name = change.subject.name
    if change.began:
        what = "; ".join(finding.told() for finding in sorted(change.began, key=lambda one: -one.psi)[:3])
        more = f"; and {len(change.began) - 3} more" if len(change.began) > 3 else ""
        look = f"look at its images: framegate drift status {name}"
        return Alert(DRIFT_RULE, "warning", str(change.subject), f"{name} drifts: {what}{more}; {look}", _WINDOW_S)
    if change.well:
        summary = f"{name} is as it was: {', '.join(feature(one).title for one in change.ended)}"
        return Alert(DRIFT_RULE, "warning", str(change.subject), summary, _WINDOW_S, over=True)
    return None


def _take(drift: Drift, subject: Subject, seen: Seen, shelf: Shelf, limits: DriftLimits) -> DriftChange | None:
    window = drift.window
    window.began_at, window.at = window.began_at or seen.at, max(seen.at, window.at or seen.at)
    window.first, window.last = window.first or seen.sequence, seen.sequence
    window.images += 1
    change = None
    if subject.kind is Kind.MODEL:
        drift.parts.setdefault(Part.MODEL, Learning())
        count(window.counts, model_bins(seen))
    else:
        for part, identity, bins in (
            (Part.PICTURE, seen.input, picture_bins(seen)),
            (Part.MODEL, seen.model, model_bins(seen)),
        ):
            known = drift.parts.setdefault(part, Learning())
            if _is_of(known, identity):
                count(window.counts, bins)
            elif known.strangers >= _STRANGERS:
                drift.parts[part].of = identity
                change = learn_anew(drift, subject, shelf, [part], seen.at) or change
    return _close(drift, subject, shelf, limits) if _is_full(drift.window, limits) else change


def _is_of(known: Learning, identity: str | None) -> bool:
    """Whether an image belongs to what the reference is of. Counts those that do not."""
    if identity is None or identity == known.of:
        known.strangers = 0 if identity else known.strangers
        return True
    if known.of is None:
        known.of = identity
        return True
    known.strangers = known.strangers + 1 if identity == known.stranger else 1
    known.stranger = identity
    return False


def _is_full(window: Window, limits: DriftLimits) -> bool:
    if window.began_at is None or window.at is None:
        return False
    lasted = (window.at - window.began_at).total_seconds()
    if lasted >= limits.window_most_s:
        return window.images >= limits.least
    return lasted >= limits.window_s and window.images >= limits.window_images


def _close(drift: Drift, subject: Subject, shelf: Shelf, limits: DriftLimits) -> DriftChange | None:
    window, drift.window = drift.window, Window()
    assert window.began_at is not None and window.at is not None  # noqa: S101, PT018 (it is full)
    block = Block(window.began_at, window.at, window.images, window.counts)
    scores: list[Score] = []
    references: dict[Part, Reference] = {}
    for name, known in drift.parts.items():
        part = Part(name)
        reference = shelf.reference(subject, part) if known.frozen_at else None
        if reference is not None:
            references[part] = reference
            scores += _scores(reference, block, limits)
        else:
            _learn(known, subject, part, block, shelf, limits)
    drift.scores |= {one.feature: one.level for one in scores}
    shelf.add_hour(subject, window, scores)
    return _judge(drift, subject, window, references, scores, shelf, limits)


def _learn(known: Learning, subject: Subject, part: Part, block: Block, shelf: Shelf, limits: DriftLimits) -> None:
    mine = {name: histogram for name, histogram in block.counts.items() if feature(name).part is part}
    if not mine:
        return
    shelf.add_block(subject, part, Block(block.began_at, block.at, block.images, mine))
    known.since = known.since or block.began_at
    known.images, known.windows = known.images + block.images, known.windows + 1
    if (
        (block.at - known.since).total_seconds() >= limits.learn_s
        and known.images >= limits.learn_images
        and known.windows >= limits.learn_windows
    ):
        shelf.freeze(subject, part, learn(shelf.blocks(subject, part), limits.least, block.at))
        known.frozen_at = block.at


def _scores(reference: Reference, block: Block, limits: DriftLimits) -> list[Score]:
    expected = reference.expected(block)
    scores = (expected[name].score(block.counts[name]) for name in sorted(expected.keys() & block.counts.keys()))
    return [score for score in scores if score.size >= limits.least]


def _judge(
    drift: Drift,
    subject: Subject,
    window: Window,
    references: Mapping[Part, Reference],
    scores: Sequence[Score],
    shelf: Shelf,
    limits: DriftLimits,
) -> DriftChange | None:
    # Windows of other subjects end at other times: theirs count as hypotheses that hold, which errs towards silence.
    out = rejected([score.p for score in scores], limits.rate, len(scores) * max(1, shelf.subjects()))
    began: list[Score] = []
    ended: list[str] = []
    for score, stands_out in zip(scores, out, strict=True):
        name = score.feature
        hit = stands_out and score.psi >= limits.effect
        recent = drift.recent[name] = [*drift.recent.get(name, []), hit][-limits.of :]
        if name in drift.holds:
            drift.calm[name] = drift.calm.get(name, 0) + 1 if score.psi < limits.effect / 2 else 0
            if drift.calm[name] >= limits.calm:
                ended.append(name)
        elif hit and sum(recent) >= limits.hits:
            began.append(score)
    at = window.at or window.began_at
    assert at is not None  # noqa: S101 (it is full)
    for name in ended:
        shelf.end(UUID(drift.holds.pop(name)), at)
        del drift.calm[name], drift.recent[name]
    findings = _findings(subject, window, references, began, shelf)
    for finding in findings:
        drift.holds[finding.feature] = str(finding.finding_id)
        shelf.begin(finding)
    return DriftChange(subject, findings, tuple(ended), not drift.holds) if findings or ended else None


def _findings(
    subject: Subject, window: Window, references: Mapping[Part, Reference], began: Sequence[Score], shelf: Shelf
) -> tuple[Finding, ...]:
    if not began:
        return ()
    assert window.began_at is not None and window.at is not None  # noqa: S101, PT018 (it is full)
    again = shelf.again(subject, window)
    block = Block(window.began_at, window.at, window.images, window.counts)
    found = []
    for score in began:
        expected = references[feature(score.feature).part].expected(block)[score.feature]
        usual, seen = (
            tuple(round(float(share), 4) for share in shares / max(shares.sum(), 1))
            for shares in (expected.grouped({}) + expected.counts, expected.grouped(window.counts[score.feature]))
        )
        gains = [b - a for a, b in zip(usual, seen, strict=True)]
        measured = score.psi, score.js, score.p, score.size, score.limit
        histograms = tuple(expected.labels), usual, seen
        moved = _moved(score.feature, again, gains, expected.group)
        found.append(Finding(new_uuid7(), subject, score.feature, window.at, None, *measured, *histograms, moved))
    return tuple(found)


def _moved(
    name: str, images: Sequence[Seen], gains: Sequence[float], group: Callable[[str], int]
) -> tuple[ImageId, ...]:
    """The images whose values became more frequent by most."""

    def gain(seen: Seen) -> float:
        bins = picture_bins(seen) if feature(name).part is Part.PICTURE else model_bins(seen)
        return max((gains[group(key)] for one, key in bins if one == name), default=0.0)

    ranked = sorted(((gain(seen), seen.image_id) for seen in images), key=lambda pair: -pair[0])
    return tuple(image for gained, image in ranked[:MOST_MOVED] if gained > 0)
