"""The share of images that are looked at again."""

import pytest

from framegate.gate.budget import LookBudget
from framegate.kernel.ids import FacilityId

ONE, OTHER = FacilityId("one"), FacilityId("other")


def asked(budget: LookBudget, images: int, share: float, facility: FacilityId = ONE) -> int:
    """How many of so many images, all of them doubtful."""
    looks = 0
    for _ in range(images):
        budget.note(facility, share)
        looks += budget.take(facility)
    return looks


@pytest.mark.parametrize(("share", "images", "looks"), [(0.1, 1000, 101), (0.5, 100, 51), (1.0, 50, 50), (0.0, 50, 0)])
def test_a_flood_of_doubts_gets_its_share_and_no_more(share: float, images: int, looks: int) -> None:
    assert asked(LookBudget(), images, share) == looks


def test_the_first_doubt_need_not_wait() -> None:
    assert asked(LookBudget(), 1, 0.01) == 1


def test_what_is_saved_pays_for_a_hundred_images_and_not_for_a_flood() -> None:
    budget = LookBudget()
    for _ in range(100_000):
        budget.note(ONE, 0.1)
    assert asked(budget, 100, 0.1) <= 0.1 * 100 + 10
    assert asked(budget, 1000, 0.1) == 100


def test_facilities_do_not_pay_for_each_other() -> None:
    budget = LookBudget()
    asked(budget, 100, 0.1)
    assert asked(budget, 10, 0.1, OTHER) == 2
    assert not budget.take(FacilityId("never seen"))


def test_it_tells_the_share_of_the_newest_images() -> None:
    budget = LookBudget()
    asked(budget, 200, 1.0)
    assert budget.share == pytest.approx(1.0)
    for _ in range(200):
        budget.note(ONE, 0.1)
    assert budget.share == pytest.approx(0.5)
    for _ in range(20_000):
        budget.note(ONE, 0.1)
    assert budget.share < 0.01
