"""What came of the review desk, in memory: decisions that are final, and what follows from them."""

from uuid import uuid4

from framegate.adapters.memory.results import recorded
from framegate.adapters.memory.state import ImageRow, MemoryState, ReviewRow
from framegate.kernel.incidents import SYSTEM, RaisedAlert
from framegate.kernel.inspection import Alert
from framegate.kernel.reviews import SAMPLE_WEIGHT, Choice, Origin
from framegate.kernel.states import Verdict
from framegate.ports.reviews import DecidedFilter, DecidedImage, Tell


def decided_images(state: MemoryState, where: DecidedFilter) -> list[DecidedImage]:
    """Newest image first."""
    now, found = state.now(), list[DecidedImage]()
    for image_id, row in sorted(state.reviews.items(), reverse=True):
        image, final = state.images[image_id], row.settle_at is None or row.settle_at <= now
        if row.decided is not None and final and _wanted(image, where):
            found.append(DecidedImage(recorded(state, image), row.origin, row.decided))
    return found


def _wanted(image: ImageRow, where: DecidedFilter) -> bool:
    facts = image.facts
    return (
        facts.facility == where.facility
        and where.camera in (None, facts.camera)
        and (where.received_since is None or facts.received_at >= where.received_since)
        and (where.received_until is None or facts.received_at < where.received_until)
        and (where.before is None or facts.image_id < where.before)
    )


def settle_row(state: MemoryState, row: ReviewRow, most: int, tell: Tell) -> int:
    """How many images people are asked about again; where that is `most`, the item stays due for the others."""
    review, image = row.decided, state.images[row.image_id]
    assert review is not None  # noqa: S101 (only what is decided is due)
    choice = review.decision.choice
    body: dict[str, object] = {"review": str(review.review_id)}
    if choice is Choice.FAIL:
        for alert in tell(DecidedImage(recorded(state, image), row.origin, review)):
            _raise(state, row, alert)
    asked = _ask_again(state, image, Verdict(choice), most) if choice in (Choice.PASS, Choice.FAIL) else []
    body |= {"asked_again": asked} if asked else {}
    if len(asked) == most:
        state.record(row.facility, SYSTEM, "review.asked-again", str(row.image_id), body)
        return most
    row.settle_at = None
    state.record(row.facility, SYSTEM, "review.settled", str(row.image_id), {**body, "choice": str(choice)})
    return len(asked)


def _raise(state: MemoryState, row: ReviewRow, alert: Alert) -> None:
    told = {(raised.image_id, raised.alert.rule) for raised in state.alerts}
    if (row.image_id, alert.rule) not in told:
        state.alerts.append(RaisedAlert(uuid4(), row.facility, row.image_id, alert, state.now()))


def _ask_again(state: MemoryState, source: ImageRow, said: Verdict, most: int) -> list[str]:
    asked, ours = list[str](), source.facts
    for image_id, image in sorted(state.images.items()):
        facts, end = image.facts, image.end
        same = (facts.facility, facts.camera, facts.sha256) == (ours.facility, ours.camera, ours.sha256)
        copied = None if end is None or end.reused_from is None else end.outcome.verdict
        if len(asked) < most and same and copied not in (None, said) and state.may_be_asked(image_id):
            state.ask_people(image, Origin.DUPLICATE, copied, SAMPLE_WEIGHT)
            asked.append(str(image_id))
    return asked
