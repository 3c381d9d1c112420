"""The review desk in memory."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from framegate.adapters.memory.review_effects import decided_images, settle_row
from framegate.adapters.memory.review_tallies import tallies_of
from framegate.adapters.memory.state import ImageRow, MemoryState, ReviewRow
from framegate.kernel.ids import FacilityId, ImageId, new_uuid7
from framegate.kernel.inspection import Inspected
from framegate.kernel.reviews import (
    LATELY,
    SAMPLE_WEIGHT,
    Choice,
    Decision,
    Origin,
    Review,
    ReviewConflict,
    ReviewRefused,
    Tally,
    risk,
    standing,
    upheld,
)
from framegate.kernel.states import Verdict
from framegate.ports.reviews import Backlog, DecidedFilter, DecidedImage, ReviewItem, ReviewStats, Tell


class MemoryReviews:
    """`Reviews`. Safe for use from several threads."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def lease(self, facilities: frozenset[FacilityId], actor: str, limit: int, lease: timedelta) -> list[ReviewItem]:
        """See the port."""
        with self._state.lock:
            now = self._state.now()
            waiting = self._waiting(facilities, actor)
            mine = [row for row in waiting if row.leased_by == actor]
            free = [row for row in waiting if row.leased_until is None or row.leased_until <= now]
            chosen = [*mine, *(row for row in free if row.leased_by != actor)][:limit]
            for row in chosen:
                if row.leased_by != actor:
                    row.leased_by, row.version = actor, row.version + 1
                    self._record(row, actor, "review.leased", {})
                row.leased_until = now + lease
            return [self._item(row) for row in waiting if row in chosen]

    def item(self, facilities: frozenset[FacilityId], image_id: ImageId) -> ReviewItem | None:
        """See the port."""
        with self._state.lock:
            row = self._find(facilities, image_id)
            return None if row is None else self._item(row)

    def items(self, facilities: frozenset[FacilityId], limit: int) -> list[ReviewItem]:
        """See the port."""
        with self._state.lock:
            return [self._item(row) for row in self._waiting(facilities, None)[:limit]]

    def release(self, facilities: frozenset[FacilityId], image_id: ImageId, actor: str) -> bool | None:
        """See the port."""
        with self._state.lock:
            row = self._find(facilities, image_id)
            if row is None:
                return None
            if row.decided is not None or row.leased_by != actor:
                return False
            row.leased_by, row.leased_until, row.version = None, None, row.version + 1
            self._record(row, actor, "review.released", {})
            return True

    def decide(
        self,
        facilities: frozenset[FacilityId],
        image_id: ImageId,
        version: int,
        shown_sha256: str,
        decision: Decision,
        actor: str,
        undo: timedelta,
    ) -> Review | None:
        """See the port."""
        with self._state.lock:
            row = self._find(facilities, image_id)
            if row is None:
                return None
            last = row.reviews[-1] if row.reviews else None
            if last is not None and last.is_repeated(version, shown_sha256, decision, actor):
                return last
            item = self._item(row)
            try:
                item.check(version, shown_sha256, decision, actor, self._state.now())
            except (ReviewConflict, ReviewRefused) as why:
                self._record(row, actor, "review.refused", item.audited_refusal(version, shown_sha256, decision, why))
                raise
            return self._accept(row, shown_sha256, decision, actor, undo)

    def _accept(self, row: ReviewRow, shown_sha256: str, decision: Decision, actor: str, undo: timedelta) -> Review:
        now, skips = self._state.now(), decision.choice is Choice.SKIP
        review = Review(
            new_uuid7(now.timestamp()),
            row.facility,
            row.image_id,
            decision,
            actor,
            now,
            row.version,
            shown_sha256,
            undo_until=None if skips else now + undo,
        )
        row.reviews.append(review)
        row.leased_by, row.leased_until, row.version = None, None, row.version + 1
        if skips:
            row.skipped_by.add(actor)
        else:
            row.decided, row.settle_at = review, review.undo_until
        self._record(row, actor, "review.skipped" if skips else "review.decided", review.audited())
        return review

    def undo(self, facilities: frozenset[FacilityId], review_id: UUID, actor: str, lease: timedelta) -> Review | None:
        """See the port."""
        with self._state.lock:
            rows = [row for row in self._state.reviews.values() if row.facility in facilities]
            found = [(row, one) for row in rows for one in row.reviews if one.review_id == review_id]
            if not found:
                return None
            ((row, undone),) = found
            now = self._state.now()
            in_time = row.decided is undone and row.settle_at is not None and row.settle_at > now
            if (why := undone.undo_fault(actor, in_time=in_time)) is not None:
                self._record(row, actor, "review.refused", {"choice": "undo", "why": why})
                raise ReviewRefused("review-final", f"the decision stands: {why}")
            review = Review(
                new_uuid7(now.timestamp()),
                row.facility,
                row.image_id,
                Decision(Choice.UNDO),
                actor,
                now,
                row.version,
                "",
                undoes=review_id,
            )
            row.reviews.append(review)
            row.leased_by, row.leased_until, row.version = actor, now + lease, row.version + 1
            row.decided = row.settle_at = None
            self._record(row, actor, "review.undone", review.audited())
            return review

    def settle(self, limit: int, tell: Tell) -> int:
        """See the port."""
        with self._state.lock:
            now = self._state.now()
            due = [row for row in self._state.reviews.values() if row.settle_at is not None and row.settle_at <= now]
            left = limit
            for done, row in enumerate(sorted(due, key=lambda row: row.settle_at or now)[:limit]):
                if left <= 0:
                    return done
                left -= settle_row(self._state, row, left, tell)
            return len(due[:limit])

    def backfill(self, facility: FacilityId, actor: str, limit: int) -> int:
        """See the port."""
        with self._state.lock:
            without = [
                image
                for image_id, image in sorted(self._state.images.items())
                if image.facts.facility == facility and _is_for_people(image) and self._state.may_be_asked(image_id)
            ][:limit]
            for image in without:
                self._state.ask_people(image, Origin.VERDICT, Verdict.REVIEW, SAMPLE_WEIGHT)
            if without:
                self._state.record(facility, actor, "review.backfilled", facility, {"items": len(without)})
            return len(without)

    def decided(self, where: DecidedFilter, limit: int) -> list[DecidedImage]:
        """See the port."""
        with self._state.lock:
            return decided_images(self._state, where)[:limit]

    def backlog(self) -> Backlog:
        """See the port."""
        with self._state.lock:
            opened = [row.opened_at for row in self._state.reviews.values() if self._is_open(row)]
            oldest_s = (self._state.now() - min(opened)).total_seconds() if opened else 0.0
            return Backlog(len(opened), oldest_s)

    def escapes(self) -> list[Tally]:
        """See the port."""
        with self._state.lock:
            since = self._state.now() - LATELY
            rows = [row for row in self._state.reviews.values() if row.opened_at > since]
            return [tally for tally in tallies_of(self._state, rows) if tally.kind == "model"]

    def latest(self, facilities: frozenset[FacilityId], limit: int) -> list[Review]:
        """See the port."""
        with self._state.lock:
            rows = [row for row in self._state.reviews.values() if row.facility in facilities]
            said = [review for row in rows for review in row.reviews]
            return sorted(said, key=lambda review: (review.at, review.review_id), reverse=True)[:limit]

    def stats(self, facilities: frozenset[FacilityId]) -> ReviewStats:
        """See the port."""
        with self._state.lock:
            now = self._state.now()
            rows = [row for row in self._state.reviews.values() if row.facility in facilities]
            waiting = [row for row in rows if self._is_open(row)]
            leased = sum(row.leased_until is not None and row.leased_until > now for row in waiting)
            oldest = min((row.opened_at for row in waiting), default=None)
            reviewers: defaultdict[str, Counter[str]] = defaultdict(Counter)
            for review in upheld(review for row in rows for review in row.reviews):
                if review.at > now - LATELY:
                    reviewers[review.reviewer][str(review.decision.choice)] += 1
            return ReviewStats(len(waiting), leased, oldest, reviewers, tallies_of(self._state, rows))

    def _is_open(self, row: ReviewRow) -> bool:
        return row.decided is None and not self._state.is_erased(row.image_id)

    def _find(self, facilities: frozenset[FacilityId], image_id: ImageId) -> ReviewRow | None:
        row = self._state.reviews.get(image_id)
        return row if row is not None and row.facility in facilities else None

    def _waiting(self, facilities: frozenset[FacilityId], actor: str | None) -> list[ReviewRow]:
        now = self._state.now()
        rows = [row for row in self._state.reviews.values() if row.facility in facilities and self._is_open(row)]

        def order(row: ReviewRow) -> tuple[bool, float, ImageId]:
            return actor in row.skipped_by, -risk(row.weight, (now - row.opened_at).total_seconds()), row.image_id

        return sorted(rows, key=order)

    def _item(self, row: ReviewRow) -> ReviewItem:
        image = self._state.images[row.image_id]
        facts, found = image.facts, image.finding
        size = (facts.width, facts.height) if facts.orientation < 5 else (facts.height, facts.width)
        last = standing(row.reviews)
        pairs = zip(found.classes, found.detections, strict=True) if isinstance(found, Inspected) else ()
        return ReviewItem(
            row.facility,
            row.image_id,
            facts.camera,
            facts.sha256,
            *size,
            row.origin,
            row.automatic,
            row.opened_at,
            row.version,
            row.decided is None,
            None if last is None else Verdict(last.decision.choice),
            row.leased_by,
            row.leased_until,
            tuple((name, confidence, box) for name, (_, confidence, box) in pairs),
        )

    def _record(self, row: ReviewRow, actor: str, action: str, body: Mapping[str, object]) -> None:
        self._state.record(row.facility, actor, action, str(row.image_id), body)


def _is_for_people(image: ImageRow) -> bool:
    return image.end is not None and image.end.outcome.verdict is Verdict.REVIEW
