"""The two pictures of a report, as PNG."""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from framegate.models.metrics import RECALLS, Array

_GREY, _BLUE = "#667085", "#1f5fbf"


class Curve(NamedTuple):
    """Precision (101,) at `RECALLS`, and the area under it."""

    name: str
    area: float
    precision: Array


def draw_precision_recall(curves: Sequence[Curve]) -> bytes:
    """A line for each class."""
    figure, axes = _figure()
    for curve in curves:
        axes.plot(RECALLS, curve.precision, linewidth=2, label=f"{curve.name}  {curve.area:.3f}")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, title="average precision", alignment="left")
    return _png(figure)


def draw_reliability(bins: Sequence[tuple[float, float, int]], of: str, threshold: float | None = None) -> bytes:
    """`bins` as from `metrics.reliability`, `of` says what is counted; a calibrated model lies on the diagonal."""
    figure, axes = _figure()
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", linewidth=1, label="calibrated")
    if bins:
        confidence, share, counts = zip(*bins, strict=True)
        sizes = [30 + 370 * count / max(counts) for count in counts]
        axes.plot(confidence, share, color=_BLUE, linewidth=1.5)
        axes.scatter(confidence, share, s=sizes, color=_BLUE, alpha=0.75, zorder=3, label=of)
        for x, y, count in bins:
            axes.annotate(f"{count:,}", (x, y), textcoords="offset points", xytext=(0, 12), ha="center", color=_GREY)
    if threshold is not None:
        axes.axvline(threshold, color="#b54708", linewidth=1, label=f"review from {threshold:g}")
    axes.set(xlim=(-0.06, 1.04), ylim=(-0.04, 1.12), xlabel="confidence", ylabel="share that is right")
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, markerscale=0.6)
    return _png(figure)


def _figure() -> tuple[Any, Any]:
    """A bare figure draws with Agg: no window system, nothing global."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.grid(color="#eaecf0")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=140)
    return out.getvalue()
