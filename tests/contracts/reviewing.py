"""What the contracts of the review desk share."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

from framegate.kernel.ids import FacilityId
from framegate.kernel.inspection import Alert
from framegate.kernel.reviews import Choice, Decision, Review, ReviewConflict, ReviewRefused
from framegate.kernel.states import Verdict
from framegate.ports.reviews import DecidedImage, ReviewItem
from framegate.ports.store import NewImage

from .examples import FACILITY, OTHER_FACILITY, accept, decide, outcome, serve
from .harness import Harness, seconds

HERE, THERE = frozenset({FACILITY}), frozenset({OTHER_FACILITY})
LEASE, UNDO = seconds(300), seconds(30)
ANN, BEN = "Ann (a)", "Ben (b)"
PASS, FAIL = Decision(Choice.PASS), Decision(Choice.FAIL, "dent")


def doubtful(harness: Harness, weight: float = 1.0, facility: FacilityId = FACILITY) -> NewImage:
    image = accept(harness.intake, facility=facility)
    decide(harness.progress, image, replace(outcome(Verdict.REVIEW), weight=weight))
    return image


def passed(harness: Harness, share: float, **changes: object) -> NewImage:
    image = accept(harness.intake, **changes)
    decide(harness.sampling(share), image, outcome(Verdict.PASS))
    return image


def next_for(harness: Harness, actor: str, limit: int = 1) -> list[ReviewItem]:
    return harness.reviews.lease(HERE, actor, limit, LEASE)


def say(harness: Harness, item: ReviewItem, decision: Decision, actor: str = ANN, shown: str | None = None) -> Review:
    shown = item.sha256 if shown is None else shown
    done = harness.reviews.decide(HERE, item.image_id, item.version, shown, decision, actor, UNDO)
    assert done is not None
    return done


def current(harness: Harness, image: NewImage) -> ReviewItem:
    found = harness.reviews.item(HERE, image.image_id)
    assert found is not None
    return found


def settle(harness: Harness, limit: int, *alerts: Alert) -> int:
    """Each fail is told by `alerts`, or by one that names what was said of which image."""

    def tell(decided: DecidedImage) -> Sequence[Alert]:
        said = decided.review.decision.name
        return alerts or [Alert("damage", "critical", f"camera/{decided.record.facts.camera}", said)]

    return harness.reviews.settle(limit, tell)


def audited(harness: Harness, image: NewImage) -> list[tuple[str, str]]:
    entries = [entry for entry in harness.audit() if entry.object == str(image.image_id)]
    return [(entry.actor, entry.action) for entry in entries if entry.action.startswith("review.")]


def unbroken(harness: Harness) -> None:
    assert [check for check in harness.upkeep.check_invariants() if check.violations] == []


def serving(harness: Harness) -> None:
    serve(harness.registry)
    harness.policies.add_policy(FACILITY, {"classes": {}}, "test")


def together(*calls: Callable[[], object]) -> list[object]:
    barrier = Barrier(len(calls))

    def call(one: Callable[[], object]) -> object:
        barrier.wait(20)
        try:
            return one()
        except (ReviewConflict, ReviewRefused) as error:
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(call, calls))
