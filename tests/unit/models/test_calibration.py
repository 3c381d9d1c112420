"""The promise of conformal risk control, kept over many repetitions; and what is refused."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from framegate.gate.policy import Policy, document_from_manifest
from framegate.kernel.detections import Detections
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.inspection import Inspected, Prepared
from framegate.kernel.manifest import ModelManifest
from framegate.models.calibration import (
    NotEnough,
    allowed,
    calibrate,
    fail_threshold,
    needed,
    policy_document,
    review_threshold,
)
from framegate.models.evaluation import Examined, Example
from framegate.models.labels import LabelledImage, LabelledSet
from framegate.models.predictor import Seen
from framegate.starter import starter_dir
from tests.support.values import prepared

REPETITIONS = 2000
FREE = st.floats(0, 1, allow_nan=False).map(lambda v: round(v, 4))


def mean_and_error(rates: list[float]) -> tuple[float, float]:
    return float(np.mean(rates)), float(np.std(rates) / math.sqrt(len(rates)))


def scores(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """A mediocre model: one object in thirty is never found at all."""
    return np.where(rng.random(n) < 1 / 30, -np.inf, rng.beta(3, 2, n))


@pytest.mark.parametrize(("n", "risk"), [(20, 0.1), (30, 0.07), (60, 0.05), (120, 0.05)])
def test_the_expected_miss_rate_stays_below_the_risk_and_would_not_without_the_correction(n: int, risk: float) -> None:
    rng = np.random.default_rng(20_240_501)
    ours, naive = [], []
    for _ in range(REPETITIONS):
        labelled, fresh = scores(rng, n), scores(rng, 500)
        threshold = review_threshold(labelled, risk)
        # Not attainable means that nothing is promised and nobody is let through: no miss.
        ours.append(0.0 if threshold is None else float((fresh < threshold).mean()))
        # The largest threshold whose plain share of misses is at most the risk.
        plain = max(0.0, float(np.sort(labelled)[math.floor(risk * n + 1e-9)]))
        naive.append(float((fresh < plain).mean()))
    mean, error = mean_and_error(ours)
    assert mean <= risk + 3 * error
    assert mean >= (allowed(n, risk) + 1) / (n + 1) - 0.02  # and it is no empty promise
    mean, error = mean_and_error(naive)
    assert mean > risk + 3 * error


@pytest.mark.parametrize(("n", "risk"), [(20, 0.1), (60, 0.05)])
def test_the_expected_false_alarm_rate_stays_below_the_risk(n: int, risk: float) -> None:
    rng = np.random.default_rng(7)
    rates = []
    for _ in range(REPETITIONS):
        threshold = fail_threshold(rng.beta(1, 4, n), risk)
        rates.append(0.0 if threshold is None else float((rng.beta(1, 4, 500) >= threshold).mean()))
    mean, error = mean_and_error(rates)
    assert mean <= risk + 3 * error
    assert mean >= (allowed(n, risk) + 1) / (n + 1) - 0.02


@given(st.lists(FREE, min_size=19, max_size=80), st.sampled_from([0.05, 0.1, 0.29]))
def test_the_review_threshold_is_the_largest_that_keeps_the_inequality(caught: list[float], risk: float) -> None:
    n, array = len(caught), np.array(caught)
    threshold = review_threshold(array, risk)
    assert threshold is not None

    def corrected(at: float) -> float:
        return n / (n + 1) * float((array < at).mean()) + 1 / (n + 1)

    assert corrected(threshold) <= risk + 1e-12
    assert threshold >= 1 or corrected(threshold + 2e-4) > risk


@given(st.lists(FREE, min_size=19, max_size=80), st.sampled_from([0.05, 0.1, 0.29]))
def test_the_fail_threshold_is_the_smallest_that_keeps_the_inequality(peaks: list[float], risk: float) -> None:
    m, array = len(peaks), np.array(peaks)
    threshold = fail_threshold(array, risk)

    def corrected(at: float) -> float:
        return m / (m + 1) * float((array >= at).mean()) + 1 / (m + 1)

    assert corrected(1.0001 if threshold is None else threshold) <= risk + 1e-12
    assert corrected((1.0001 if threshold is None else threshold) - 2e-4) > risk


def test_how_many_images_a_risk_takes() -> None:
    assert [needed(risk) for risk in (0.5, 0.1, 0.05, 0.03, 0.01)] == [1, 9, 19, 33, 99]
    for risk in (0.5, 0.1, 0.05, 0.03, 0.01, 0.07, 0.29):
        assert allowed(needed(risk), risk) >= 0
        assert allowed(needed(risk) - 1, risk) == -1
    assert allowed(99, 0.29) == 28


def test_a_model_that_never_finds_too_many_gets_no_threshold() -> None:
    assert review_threshold(np.array([-np.inf, *np.linspace(0.2, 0.9, 19)]), 0.05) is None
    assert review_threshold(np.array([-np.inf, *np.linspace(0.2, 0.9, 19)]), 0.1) == 0.2


def test_confident_false_alarms_leave_no_threshold_for_failing() -> None:
    assert fail_threshold(np.ones(30), 0.05) is None


# -- whole sets

MANIFEST = ModelManifest.load(starter_dir())
HOLE = MANIFEST.classes.index("hole")
THERE = np.array([[10, 10, 50, 50]], np.float32)


def example(index: int, labelled: bool, confidence: float, box: tuple[float, ...] = (10, 10, 50, 50)) -> Example:
    path = Path(f"{index:04d}.jpg")
    rows = np.array([[*box, confidence, HOLE]], np.float32)[: 1 if confidence else 0]
    found = Inspected(Detections.from_rows(rows), ("hole",) * len(rows), MANIFEST.ref, MANIFEST.sha256, "test engine")
    truth = THERE[: int(labelled)]
    label = LabelledImage(path, f"{index}", truth, np.full(len(truth), HOLE, np.int32))
    return Example(Seen(path, prepared(), found), label)


def examined(examples: list[Example], *, image_level: bool = False) -> Examined:
    if image_level:
        none = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
        examples = [Example(s, LabelledImage(i.path, i.sha256, *none, bool(len(i.class_id)))) for s, i in examples]
    labels = LabelledSet(
        Path("set"),
        "folders" if image_level else "yolo",
        MANIFEST.classes,
        tuple(e.label for e in examples),
        (),
        "f" * 64,
    )
    return Examined(MANIFEST, "test engine", labels, ("hole",), tuple(examples), ())


def spread(with_hole: int, without: int) -> list[Example]:
    inside = [example(i, True, 0.3 + 0.6 * i / with_hole) for i in range(with_hole)]
    return inside + [example(1000 + i, False, 0.06 + 0.3 * i / without) for i in range(without)]


def test_the_thresholds_keep_what_was_asked_on_the_labelled_images() -> None:
    result = calibrate(examined(spread(40, 60)), 0.05, 0.1)
    [limit] = result.limits
    assert (limit.with_class, limit.without_class) == (40, 60)
    assert limit.missed == 1  # (1 + 1) / 41 <= 0.05 < (2 + 1) / 41
    assert limit.alarmed == 5  # (5 + 1) / 61 <= 0.1 < (6 + 1) / 61
    assert limit.miss_bound == pytest.approx(2 / 41)
    assert limit.alarm_bound == pytest.approx(6 / 61)


def test_review_is_never_above_fail() -> None:
    """A model that separates the two kinds: the false-alarm threshold alone would lie below the other."""
    examples = [example(i, True, 0.9) for i in range(30)] + [example(100 + i, False, 0.06) for i in range(30)]
    [limit] = calibrate(examined(examples), 0.05, 0.05).limits
    assert limit.review == limit.fail == pytest.approx(0.9, abs=2e-4)


def test_a_box_in_the_wrong_place_finds_nothing() -> None:
    examples = [*spread(40, 60), *(example(2000 + i, True, 0.99, (200, 200, 240, 240)) for i in range(3))]
    with pytest.raises(NotEnough, match=r"never finds it in 3 of 43 images.*promised is 0.091"):
        calibrate(examined(examples), 0.05, 0.1)


def test_with_labels_for_whole_images_any_defect_anywhere_counts() -> None:
    examples = [*spread(40, 60), *(example(2000 + i, True, 0.99, (200, 200, 240, 240)) for i in range(3))]
    result = calibrate(examined(examples, image_level=True), 0.05, 0.1)
    assert result.joint
    assert result.limits[0].with_class == 43


def test_detections_below_the_models_floor_never_reach_the_gate_and_find_nothing() -> None:
    examples = [*spread(40, 60), *(example(2000 + i, True, MANIFEST.floor / 2) for i in range(3))]
    with pytest.raises(NotEnough, match="never finds it in 3 of 43"):
        calibrate(examined(examples), 0.05, 0.1)


def test_a_set_too_small_for_the_risk_is_refused_with_the_number_that_it_takes() -> None:
    with pytest.raises(NotEnough, match=r"hole: 18 labelled images contain it.*at least 19 \(1 more\)"):
        calibrate(examined(spread(18, 60)), 0.05, 0.1)
    with pytest.raises(NotEnough, match=r"hole: 8 labelled images are without it.*at least 9 \(1 more\)"):
        calibrate(examined(spread(40, 8)), 0.05, 0.1)
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        calibrate(examined(spread(40, 60)), 0, 0.1)


def test_the_policy_has_the_thresholds_with_their_evidence_and_keeps_the_rest() -> None:
    done = examined(spread(40, 60))
    base = {**document_from_manifest(MANIFEST), "require": ["carton"]}
    document = policy_document(base, calibrate(done, 0.05, 0.1), done)
    rules = Policy.parse(3, document).rules
    assert rules.require == {"carton"}
    assert document["classes"]["tear"] == base["classes"]["tear"]
    [limit] = document["calibration"]["limits"]
    assert rules.thresholds("hole").review == limit["review"] != base["classes"]["hole"]["review"]
    assert document["calibration"]["data_sha256"] == "f" * 64
    assert (limit["with_class"], document["calibration"]["miss_rate"]) == (40, 0.05)


def test_the_gate_decides_on_the_labelled_images_as_it_will_on_new_ones() -> None:
    done = examined(spread(40, 60))
    document = policy_document(document_from_manifest(MANIFEST), calibrate(done, 0.05, 0.1), done)
    verdicts = done.verdicts(Policy.parse(1, document))
    assert verdicts["damaged"]["pass"] == 1
    assert verdicts["intact"]["fail"] == 5
    assert sum(verdicts["damaged"].values()) == 40
    assert isinstance(done.examples[0].seen.prepared, Prepared)
