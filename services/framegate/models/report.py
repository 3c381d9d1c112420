"""What a calibration leaves behind: JSON for programs, pictures, and one HTML page that needs no other file."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np

from framegate.gate.document import write_document
from framegate.kernel.errors import ConfigurationError
from framegate.models.calibration import CITATION, Calibration, Limit
from framegate.models.evaluation import Examined
from framegate.models.metrics import average_precision, reliability
from framegate.models.plots import Curve, draw_precision_recall, draw_reliability

_STYLE: Final = """
:root { color-scheme: light; --ink: #101828; --soft: #667085; --line: #eaecf0; --accent: #1f5fbf; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.5rem; }
h1 { font-size: 1.9rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .6rem; } p { max-width: 46rem; }
.soft { color: var(--soft); } code { font-size: .88em; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 1rem; margin: 1.5rem 0; }
.card { border: 1px solid var(--line); border-radius: .6rem; padding: .9rem 1.1rem; }
.card b { display: block; font-size: 1.7rem; line-height: 1.25; } .card span { color: var(--soft); font-size: .88rem; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { padding: .45rem .7rem; border-bottom: 1px solid var(--line); text-align: right; font-variant-numeric: tabular-nums; }
th { font-weight: 600; font-size: .85rem; color: var(--soft); vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; } table.facts td { text-align: left; }
th { white-space: nowrap; } .scroll { overflow-x: auto; }
.band { position: relative; height: .7rem; min-width: 9rem; background: #d1fadf; border-radius: .35rem; overflow: hidden; }
.band i { position: absolute; top: 0; bottom: 0; } .band .review { background: #fec84b; }
.band .fail { background: #f97066; } img { max-width: 100%; height: auto; }
@media print { body { padding: 0; } }
"""

_CAPTIONS: Final = {
    "precision-recall.png": (
        "Precision and recall",
        "How much of what is found is right, against how much of what is there is found. Further up and right is better.",
    ),
    "reliability.png": (
        "Reliability",
        "How often detections of a confidence are right; numbers count them. The thresholds hold off the line, too.",
    ),
}


def summarise(
    examined: Examined, calibration: Calibration, verdicts: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    """`verdicts` as from `Examined.verdicts` under the new policy."""
    total = len(examined.examples)
    per_1000 = {
        verdict: round(1000 * sum(kind[verdict] for kind in verdicts.values()) / total, 1)
        for verdict in ("pass", "review", "fail")
    }
    auc = examined.auc()
    return {
        **examined.to_json(),
        "method": CITATION,
        "miss_rate": calibration.miss_rate,
        "false_alarm_rate": calibration.false_alarm_rate,
        "joint": calibration.joint,
        "limits": [asdict(limit) for limit in calibration.limits],
        "verdicts": verdicts,
        "expected_per_1000": per_1000,
        "auc": None if auc is None else round(auc, 4),
    }


def write_report(
    out: Path, examined: Examined, calibration: Calibration, policy: Mapping[str, Any], summary: Mapping[str, Any]
) -> list[Path]:
    """policy.yaml, calibration.json, precision-recall.png, reliability.png and report.html in `out`, which is made."""
    pictures = _pictures(examined, calibration)
    page = render(calibration, summary, pictures)
    files = {
        "policy.yaml": write_document(policy).encode(),
        "calibration.json": (json.dumps(summary, indent=2) + "\n").encode(),
        **pictures,
        "report.html": page.encode(),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (out / name).write_bytes(data)
    except OSError as error:
        raise ConfigurationError(f"cannot write to {out}: {error.strerror or error}: correct --out") from error
    return [out / name for name in files]


def render(calibration: Calibration, summary: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """The page; every text in it is escaped."""
    data, per_1000 = summary["data"], summary["expected_per_1000"]
    what = "damage" if calibration.joint else "a class"
    cards = [
        (f"{per_1000['review']:.0f}", "reviews expected in 1,000 images like these"),
        (f"{per_1000['fail']:.0f} / {per_1000['pass']:.0f}", "fails / passes expected in 1,000"),
        (f"{calibration.miss_rate:.1%}", f"of images with {what} missed, at most, in expectation"),
        (f"{calibration.false_alarm_rate:.1%}", f"of images without {what} failed, at most, in expectation"),
    ]
    unit = "damaged images" if calibration.joint else "images that contain the class"
    left = [(entry["image"], entry["reason"]) for entry in data["left_out"]]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Calibration of {escape(summary["model"])}</title><style>{_STYLE}</style></head><body>
<h1>Calibration of {escape(summary["model"])}</h1>
<p class="soft">on {data["images"]} labelled images of <code>{escape(data["name"])}</code>,
{data["damaged"]} of them damaged</p>
<div class="cards">{"".join(f"<div class=card><b>{escape(b)}</b><span>{escape(t)}</span></div>" for b, t in cards)}</div>
<h2>Thresholds</h2>
<p>Detections below <em>review</em> do not count, from <em>fail</em> on they fail the image, between the two people decide.
A miss is counted over {unit}, a false alarm over the others; the bound is on the rate expected for the next image.</p>
{_limits(calibration)}
<h2>What the gate would have decided</h2>
{_verdicts(summary["verdicts"])}
<p class="soft">Counted on the very images that the thresholds were chosen on, so a little on the bright side; reviews for
poor pictures and missing subjects are in it. Where damage is rarer than in this set, expect fewer fails and reviews.</p>
{"".join(_picture(name, png) for name, png in pictures.items())}
<h2>What is promised</h2>
<p>If new images come from the same source as the labelled ones, in any order (they are exchangeable), the expected miss
rate and the expected false-alarm rate are at most the bounds above, whatever the model. The promise is an average over
labelled sets and new images, for each class by itself. It does not hold when cameras, light, goods or the model change:
label new images and calibrate again.</p>
<p class="soft">{escape(summary["method"])}</p>
<h2>What it rests on</h2>
{_facts(summary)}
{_table(("left out", "why"), left, "Images that were not measured") if left else ""}
</body></html>
"""


def _limits(calibration: Calibration) -> str:
    heads = (
        "class", "review", "fail", "pass, review, fail",
        "images with", "missed", "miss rate ≤", "without", "alarms", "alarm rate ≤",
    )  # fmt: skip
    body = "".join(_limit_row(limit) for limit in calibration.limits)
    row = "".join(f"<th>{escape(head)}</th>" for head in heads)
    return f'<div class="scroll"><table><thead><tr>{row}</tr></thead><tbody>{body}</tbody></table></div>'


def _limit_row(limit: Limit) -> str:
    fail = 1.0 if limit.fail is None else limit.fail
    band = (
        f'<div class="band"><i class="review" style="left:{limit.review:.2%};right:{1 - fail:.2%}"></i>'
        f'<i class="fail" style="left:{fail:.2%};right:0"></i></div>'
    )
    cells = [
        f"{limit.review:.4f}", "never" if limit.fail is None else f"{limit.fail:.4f}", band,
        str(limit.with_class), str(limit.missed), f"{limit.miss_bound:.3f}",
        str(limit.without_class), str(limit.alarmed), f"{limit.alarm_bound:.3f}",
    ]  # fmt: skip
    return f"<tr><td>{escape(limit.name)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _verdicts(verdicts: Mapping[str, Mapping[str, int]]) -> str:
    rows = [(kind, *(str(counts[v]) for v in ("pass", "review", "fail"))) for kind, counts in verdicts.items()]
    return _table(("images", "pass", "review", "fail"), rows)


def _facts(summary: Mapping[str, Any]) -> str:
    data = summary["data"]
    rows = [
        ("model", summary["model"]), ("model, sha256", summary["model_sha256"]), ("engine", summary["engine"]),
        ("classes that are damage", ", ".join(summary["defects"])), ("format of the labels", data["format"]),
        ("data set, sha256", data["sha256"]),
        ("area under the ROC curve, damaged or not", "not measured" if summary["auc"] is None else f"{summary['auc']:.3f}"),
    ]  # fmt: skip
    return _table((), rows, kind="facts")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", kind: str = "") -> str:
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    head = f"<thead><tr>{''.join(f'<th>{escape(text)}</th>' for text in heads)}</tr></thead>" if heads else ""
    body = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table class="{kind}">{title}{head}<tbody>{body}</tbody></table></div>'


def _picture(name: str, png: bytes) -> str:
    title, text = _CAPTIONS[name]
    data = base64.b64encode(png).decode("ascii")
    return f'<h2>{title}</h2><p>{text}</p><img alt="{title}" src="data:image/png;base64,{data}">'


def _pictures(examined: Examined, calibration: Calibration) -> dict[str, bytes]:
    if examined.labels.image_level:
        peaks, damaged = examined.peaks(), examined.damaged()
        order = np.argsort(-peaks, kind="stable")
        hits = np.cumsum(damaged[order], dtype=np.float64)
        area, line = average_precision(hits / damaged.sum(), hits / np.arange(1, len(hits) + 1))
        curves, bins, of = [Curve("damaged image", area, line)], reliability(peaks, damaged), "images, by their peak"
    else:
        scores = examined.scores()
        curves = [Curve(one.name, one.ap50, one.curve) for one in scores.classes]
        bins, of = reliability(scores.confidence, scores.correct), "detections"
    threshold = calibration.limits[0].review if calibration.joint else None
    return {
        "precision-recall.png": draw_precision_recall(curves),
        "reliability.png": draw_reliability(bins, of, threshold),
    }
