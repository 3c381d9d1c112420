"""Policies that were stored before there were entries for quality and alerts decide as they did."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from framegate.gate.decide import decide
from framegate.gate.policy import Policy
from framegate.kernel.inspection import Alert
from framegate.kernel.states import Verdict
from tests.support.values import inspected, prepared
from tests.unit.gate.test_decide import IMAGE

CLASSES = ("carton", "hole", "tear", "graffiti")
STEPS = st.integers(0, 8).map(lambda n: n / 8)  # exact in any float
FLAGS = ("too-dark", "blurred", "small")


def pair(values: list[float | None]) -> dict[str, float | None]:
    return dict(
        zip(("review", "fail"), values if None in values else sorted(values, key=lambda v: v or 0), strict=True)
    )


THRESHOLDS = st.lists(st.none() | STEPS, min_size=2, max_size=2).map(pair)
#: A camera's entry for a class replaces the general one as a whole: what it leaves out is never.
PARTS = st.sampled_from(["review", "fail"]).flatmap(lambda name: st.fixed_dictionaries({name: STEPS}))
RULES: dict[str, Any] = {
    "otherwise": THRESHOLDS,
    "require": st.lists(st.sampled_from(CLASSES), max_size=2, unique=True),
    "require_confidence": STEPS,
    "doubtful_quality": st.lists(st.sampled_from(FLAGS), unique=True),
}
DOCUMENTS = st.fixed_dictionaries(
    {
        "schema": st.just(1),
        "classes": st.dictionaries(st.sampled_from(CLASSES), THRESHOLDS),
        **RULES,
        "cameras": st.dictionaries(
            st.sampled_from(["dock-1", "dock-2"]),
            st.fixed_dictionaries(
                {}, optional={"classes": st.dictionaries(st.sampled_from(CLASSES), PARTS | THRESHOLDS), **RULES}
            ),
        ),
    },
    optional={"calibration": st.just({"method": "CRC"}), "of another release": st.just(7)},
)
PICTURES = st.dictionaries(st.sampled_from(CLASSES), STEPS, max_size=4)


def as_before(document: dict[str, Any], seen: dict[str, float], flags: list[str]) -> tuple[Verdict, str, int]:
    """The verdict, its reason, and how many alerts: the rules of the first release, written down once more."""
    own = document["cameras"].get("dock-1", {})
    rules = {**document, **own, "classes": {**document["classes"], **own.get("classes", {})}}
    reached = set()
    for name, confidence in seen.items():
        limits = rules["classes"].get(name, rules["otherwise"])
        for kind in ("review", "fail"):
            if limits.get(kind) is not None and confidence >= limits[kind]:
                reached.add(kind)
    if "fail" in reached:
        return Verdict.FAIL, "damage", 1
    if "review" in reached:
        return Verdict.REVIEW, "uncertain", 0
    if set(flags) & set(rules["doubtful_quality"]):
        return Verdict.REVIEW, "quality", 0
    required = rules["require"]
    if required and not any(seen.get(name, -1) >= rules["require_confidence"] for name in required):
        return Verdict.REVIEW, "subject-missing", 0
    return Verdict.PASS, "clear", 0


@given(DOCUMENTS, PICTURES, st.lists(st.sampled_from(FLAGS), unique=True))
def test_a_stored_document_decides_as_it_did(
    document: dict[str, Any], seen: dict[str, float], flags: list[str]
) -> None:
    outcome = decide(Policy.parse(3, document), IMAGE, prepared(*flags), inspected(**seen))
    assert outcome.verdict is not None
    assert (outcome.verdict, outcome.reason, len(outcome.alerts)) == as_before(document, seen, flags)
    for alert in outcome.alerts:
        summary = f"dock-1 saw {outcome.detail}"
        assert alert == Alert("damage", "critical", "camera/dock-1", summary)
