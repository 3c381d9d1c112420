"""One HTML page about drift that needs no other file and no script; pictures are SVG in the text's own colour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Final

from framegate.kernel.drift_features import Kind, feature
from framegate.kernel.drift_state import JOINED, Drift, DriftLimits, Finding, Hour, Subject
from framegate.kernel.ids import ImageId, created_s

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #101828; --soft: #5d6b82; --line: #d0d5dd; --usual: #8a94a6; --now: #c4320a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --soft: #a4adbd; --line: #3b4454; --usual: #7d8899; --now: #ff8a5c; }
  body { background: #14181f; }
}
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); max-width: 60rem; margin: 0 auto; padding: 2rem 1.5rem; }
h1 { font-size: 1.8rem; margin: 0; } h2 { font-size: 1.3rem; margin: 2.5rem 0 .4rem; } h3 { font-size: 1.05rem; margin: 0; }
.soft { color: var(--soft); } a { color: inherit; } code { font-size: .88em; }
section.card { border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.2rem; margin: 1rem 0; break-inside: avoid; }
svg { display: block; max-width: 100%; height: auto; margin: .6rem 0; } svg text { fill: var(--ink); font-size: 12px; }
svg .usual { fill: var(--usual); } svg .now { fill: var(--now); } svg .axis { stroke: var(--line); }
svg .line { fill: none; stroke: var(--now); stroke-width: 2.2; stroke-linecap: round; stroke-linejoin: round; }
svg .limit { stroke: var(--usual); stroke-dasharray: 4 4; }
@media (max-width: 44rem) { svg { max-width: none; } section.card { overflow-x: auto; } }
ul.images { columns: 3 14rem; padding-left: 1.1rem; font-size: .88rem; }
.key { display: inline-block; width: .8em; height: .8em; }
table { border-collapse: collapse; } th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; }
"""
_ROW_PX, _LABEL_PX, _BAR_PX = 30, 190, 420
_WIDE_PX, _HIGH_PX = 640, 110
#: Charts of one subject: its largest scores.
_CHARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Watched:
    """One subject in the time of a report."""

    drift: Drift
    hours: Sequence[Hour]


def write(
    watched: Mapping[Subject, Watched],
    findings: Sequence[Finding],
    times: tuple[datetime, datetime],
    public_url: str,
    limits: DriftLimits,
) -> str:
    """`findings` that held between these two moments, newest first."""
    since, until = times
    holding = [one for one in findings if one.ended_at is None]
    cards = "".join(_finding(one, public_url) for one in findings)
    none = "<p>Nothing drifted in this time.</p>" if not findings else ""
    subjects = "".join(_subject(subject, one, times, limits) for subject, one in watched.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Drift since {since:%Y-%m-%d %H:%M} UTC</title><style>{_STYLE}</style></head><body>
<h1>Drift</h1>
<p class="soft">{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC. {len(watched)} cameras and models are watched;
{len(findings)} findings held in this time, {len(holding)} hold now.</p>
<p>A finding says that what a camera sends, or what a model finds, is not what it was when its reference was frozen.
PSI measures how far: from {limits.effect:g} above what usual windows of {limits.window_images} images have, it counts.</p>
<h2>What drifted</h2>{none}{cards}
<h2>Who is watched</h2>{subjects or "<p>No image has ended yet.</p>"}
</body></html>
"""


def _finding(one: Finding, public_url: str) -> str:
    ended = f"ended {_moment(one.ended_at)}" if one.ended_at else "<strong>holds</strong>"
    images = "".join(
        f'<li><a href="{escape(public_url)}/inspections/{image}">{_came(image)}</a></li>' for image in one.moved
    )
    moved = (
        f"<h3>Images that moved it most <span class='soft'>(when they came, UTC)</span></h3><ul class='images'>{images}</ul>"
        if images
        else ""
    )
    kind = "camera" if one.subject.kind is Kind.CAMERA else "model"
    return f"""<section class="card"><h3>{kind} {escape(one.subject.name)}: {escape(one.title)}</h3>
<p class="soft">at {escape(one.subject.facility)}, since {_moment(one.began_at)}, {ended}</p>
<p>{escape(one.in_words())}</p>
<p class="soft">PSI {one.psi:.2f} above what is usual; Jensen-Shannon distance {one.js:.2f}; p {one.p:.1g};
{one.size} counted.</p>
<p><span class="key" style="background: var(--usual)"></span> usual share
<span class="key" style="background: var(--now)"></span> share in the window that raised it</p>
{_bars(one)}{moved}</section>
"""


def _bars(one: Finding) -> str:
    """The groups of values, usual above now."""
    shown = [row for row in zip(one.labels, one.expected, one.seen, strict=True) if row[1] or row[2]]
    most = max((max(usual, now) for _, usual, now in shown), default=1.0) or 1.0
    parts = []
    for n, (label, usual, now) in enumerate(shown):
        y = n * _ROW_PX
        parts.append(f'<text x="{_LABEL_PX - 8}" y="{y + 18}" text-anchor="end">{escape(_cut(label))}</text>')
        for share, kind, down in ((usual, "usual", 3), (now, "now", 14)):
            width = share / most * _BAR_PX
            parts.append(f'<rect class="{kind}" x="{_LABEL_PX}" y="{y + down}" width="{width:.1f}" height="10"/>')
            parts.append(f'<text x="{_LABEL_PX + width + 5:.1f}" y="{y + down + 9}" font-size="10">{share:.0%}</text>')
    size = f'viewBox="0 0 {_LABEL_PX + _BAR_PX + 50} {len(shown) * _ROW_PX}" width="{_LABEL_PX + _BAR_PX + 50}"'
    said = escape("; ".join(f"{label}: usually {usual:.0%}, now {now:.0%}" for label, usual, now in shown))
    return f'<svg {size} role="img" aria-label="{said}">{"".join(parts)}</svg>'


def _subject(subject: Subject, one: Watched, times: tuple[datetime, datetime], limits: DriftLimits) -> str:
    images = sum(hour.images for hour in one.hours)
    names = {name for hour in one.hours for name in hour.scores}
    worst = sorted(names, key=lambda name: -max(h.scores[name].psi for h in one.hours if name in h.scores))[:_CHARTS]
    charts = "".join(_chart(name, one.hours, times, limits.effect) for name in worst)
    kind = "camera" if subject.kind is Kind.CAMERA else "model"
    said = charts or '<p class="soft">Nothing to compare in this time.</p>'
    return f"""<section class="card"><h3>{kind} {escape(subject.name)}</h3>
<p class="soft">at {escape(subject.facility)}; {state_of(one.drift, limits)}; {images} images in complete windows</p>
{said}</section>
"""


def _chart(name: str, hours: Sequence[Hour], times: tuple[datetime, datetime], effect: float) -> str:
    """The score by the hour; the line is broken where no window was for a day."""
    since, until = times
    span = max((until - since).total_seconds(), 1.0)
    scored = [(hour.at, hour.scores[name].psi) for hour in hours if name in hour.scores]
    most = max(2 * effect, *(psi for _, psi in scored)) * 1.05
    path, last = [], None
    for at, psi in scored:
        x = 30 + max(0.0, (at - since).total_seconds() / span) * (_WIDE_PX - 40)
        y = 10 + (1 - psi / most) * (_HIGH_PX - 30)
        joined = last is not None and at - last <= JOINED
        path.append(f"{'L' if joined else 'M'}{x:.1f} {y:.1f}" + ("" if joined else "h.1"))
        last = at
    limit = 10 + (1 - effect / most) * (_HIGH_PX - 30)
    base = _HIGH_PX - 20
    peak = max(psi for _, psi in scored)
    said = escape(f"{feature(name).title}: PSI up to {peak:.2f}, drift from {effect:g}")
    return f"""<p>{escape(feature(name).title)} <span class="soft">PSI above what is usual, at most {peak:.2f}</span></p>
<svg viewBox="0 0 {_WIDE_PX} {_HIGH_PX}" width="{_WIDE_PX}" role="img" aria-label="{said}">
<line class="axis" x1="30" x2="{_WIDE_PX - 10}" y1="{base}" y2="{base}"/>
<line class="limit" x1="30" x2="{_WIDE_PX - 10}" y1="{limit:.1f}" y2="{limit:.1f}"/>
<text x="0" y="{limit + 4:.1f}">{effect:g}</text><text x="30" y="{_HIGH_PX - 4}">{since:%m-%d %H:%M}</text>
<text x="{_WIDE_PX - 10}" y="{_HIGH_PX - 4}" text-anchor="end">{until:%m-%d %H:%M}</text>
<path class="line" d="{"".join(path)}"/></svg>
"""


def state_of(drift: Drift, limits: DriftLimits) -> str:
    """In a few words, for people."""
    said = []
    for name, part in sorted(drift.parts.items(), reverse=True):
        what = "picture" if name == "picture" else "what the model finds"
        if part.frozen_at is not None:
            said.append(f"{what} compared with {part.frozen_at:%Y-%m-%d %H:%M} UTC and before")
        else:
            said.append(f"{what} still learnt ({part.images} of {limits.learn_images} images or more)")
    return "; ".join(said) or "nothing known yet"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _came(image: ImageId) -> str:
    return f"{datetime.fromtimestamp(created_s(image), UTC):%m-%d %H:%M:%S}"


def _cut(label: str) -> str:
    return label if len(label) <= 28 else f"{label[:27]}…"
