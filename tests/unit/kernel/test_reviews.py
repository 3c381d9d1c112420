"""What people decide, in which order they are asked, and what it says about automatic passes."""

import math
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.reviews import (
    LEAST_JUDGED,
    Choice,
    Decision,
    Redrawn,
    Review,
    ReviewRefused,
    Tally,
    clopper_pearson,
    effective,
    is_sampled,
    risk,
    weigh,
)
from framegate.kernel.states import Verdict

_counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def at_most(hits: int, trials: int, p: float) -> float:
    """The binomial distribution as textbooks have it, with whole numbers."""
    return math.fsum(math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(hits + 1))


@given(_counts)
def test_at_the_ends_of_the_interval_what_was_seen_is_as_unlikely_as_promised(counts: tuple[int, int]) -> None:
    hits, trials = counts
    low, high = clopper_pearson(hits, trials, 0.95)
    assert 0 <= low <= hits / trials <= high <= 1
    if hits > 0:
        assert 1 - at_most(hits - 1, trials, low) == pytest.approx(0.025, abs=1e-6)
    if hits < trials:
        assert at_most(hits, trials, high) == pytest.approx(0.025, abs=1e-6)


@given(_counts)
def test_the_interval_of_the_others_is_the_mirror_image(counts: tuple[int, int]) -> None:
    hits, trials = counts
    low, high = clopper_pearson(hits, trials, 0.95)
    assert clopper_pearson(trials - hits, trials, 0.95) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize(
    ("hits", "trials", "interval"),
    [(0, 10, (0, 0.308497)), (1, 10, (0.002529, 0.445016)), (5, 50, (0.033275, 0.218135)), (0, 0, (0, 1))],
)
def test_the_interval_is_that_of_published_tables(hits: int, trials: int, interval: tuple[float, float]) -> None:
    assert clopper_pearson(hits, trials, 0.95) == pytest.approx(interval, abs=1e-6)


def test_it_holds_the_truth_at_least_as_often_as_it_says() -> None:
    for rate in (0.01, 0.05, 0.3):
        chances = [math.comb(80, k) * rate**k * (1 - rate) ** (80 - k) for k in range(81)]
        intervals = [clopper_pearson(k, 80, 0.95) for k in range(81)]
        covered = [chance for chance, (low, high) in zip(chances, intervals, strict=True) if low <= rate <= high]
        assert math.fsum(covered) >= 0.95


def test_too_few_judged_passes_have_an_interval_and_no_rate() -> None:
    few = Tally("camera", "dock-1", LEAST_JUDGED - 1, 1)
    assert (few.is_enough, few.rate) == (False, None)
    assert few.interval[1] > 0.05
    enough = Tally("camera", "dock-1", LEAST_JUDGED, 3)
    assert (enough.is_enough, enough.rate) == (True, 0.05)


_doubts = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(_doubts, st.floats(0, 1), st.floats(1, 3))
def test_one_more_doubt_makes_it_no_less_uncertain(doubts: list[float], more: float, severity: float) -> None:
    assert 0 < weigh(doubts, severity) <= weigh([*doubts, more], severity) <= severity


def test_nearer_graver_and_older_is_riskier() -> None:
    assert weigh([0.9], 1) > weigh([0.2], 1)
    assert weigh([0.2], 3) > weigh([0.2], 1)
    assert risk(0.5, 600) > risk(0.5, 60) > risk(0.1, 60) > risk(0.1, -5) == risk(0.1, 0) > 0


@given(st.uuids(), st.floats(0, 1), st.floats(0, 1))
def test_an_image_that_a_small_share_samples_a_larger_one_samples_too(image: UUID, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert is_sampled(ImageId(image), low) <= is_sampled(ImageId(image), high)
    assert (is_sampled(ImageId(image), 0), is_sampled(ImageId(image), 1)) == (False, True)


def test_the_share_is_sampled() -> None:
    images = [ImageId(UUID(int=n)) for n in range(20_000)]
    # Of 20,000 images 200 +- 14 are expected: this is six deviations.
    assert 116 < sum(is_sampled(image, 0.01) for image in images) < 284


def review(choice: Choice, undoes: UUID | None = None) -> Review:
    decision = Decision(choice, "dent" if choice is Choice.FAIL else "")
    now = datetime(2026, 11, 23, tzinfo=UTC)
    return Review(uuid4(), FacilityId("hall-1"), ImageId(uuid4()), decision, "Ann", now, 1, "", undoes)


def test_the_effective_verdict_is_that_of_the_last_review_that_stands() -> None:
    failed, passed = review(Choice.FAIL), review(Choice.PASS)
    others = [review(Choice.SKIP), review(Choice.CANNOT_TELL)]
    undone = review(Choice.UNDO, passed.review_id)
    assert effective(None, []) is None
    assert effective(Verdict.REVIEW, others) is Verdict.REVIEW
    assert effective(Verdict.REVIEW, [failed, *others]) is Verdict.FAIL
    assert effective(Verdict.REVIEW, [failed, passed]) is Verdict.PASS
    assert effective(Verdict.REVIEW, [failed, passed, undone]) is Verdict.FAIL
    assert effective(Verdict.PASS, [passed, undone]) is Verdict.PASS


@pytest.mark.parametrize(
    ("choice", "name", "boxes"),
    [
        (Choice.FAIL, "", ()),
        (Choice.PASS, "dent", ()),
        (Choice.SKIP, "dent", ()),
        (Choice.PASS, "", (Redrawn("dent", (0, 0, 1, 1)),)),
    ],
)
def test_what_no_reviewer_can_mean_is_no_decision(choice: Choice, name: str, boxes: tuple[Redrawn, ...]) -> None:
    with pytest.raises(ValueError, match=r"fail"):
        Decision(choice, name, boxes)


@pytest.mark.parametrize(
    "box", [(0, 0, math.nan, 1), (0, 0, math.inf, 1), (2, 0, 1, 1), (0, 0, 11, 1), (-0.1, 0, 1, 1)]
)
def test_a_box_outside_the_picture_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ReviewRefused, match="box 0"):
        Decision(Choice.FAIL, "dent", (Redrawn("dent", box),)).check_boxes(10, 10)
    Decision(Choice.FAIL, "dent", (Redrawn("dent", (0, 0, 10, 10)),)).check_boxes(10, 10)
