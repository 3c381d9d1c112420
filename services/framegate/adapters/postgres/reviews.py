"""The review desk. An item's row is locked by whoever changes it, so of two decisions one comes second."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, select, update

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.audit import record
from framegate.adapters.postgres.database import Database, clock_time
from framegate.adapters.postgres.incidents import ALERTS
from framegate.adapters.postgres.review_effects import decided_images, final_items, settle_item
from framegate.adapters.postgres.review_rows import append_review, is_open, latest_reviews, review_items, reviews_of
from framegate.adapters.postgres.review_stats import escapes, review_stats
from framegate.adapters.postgres.rows import storable
from framegate.adapters.postgres.statements import statement
from framegate.adapters.postgres.wakeups import wake
from framegate.kernel.ids import FacilityId, ImageId, new_uuid7
from framegate.kernel.reviews import (
    HEAD_START_S,
    SAMPLE_WEIGHT,
    Choice,
    Decision,
    Review,
    ReviewConflict,
    ReviewRefused,
    Tally,
    standing,
)
from framegate.ports.reviews import Backlog, DecidedFilter, DecidedImage, ReviewItem, ReviewStats, Tell

_ITEMS, _REVIEWS = schema.review_items, schema.reviews


class PostgresReviews:
    """`Reviews`. Safe for use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lease(self, facilities: frozenset[FacilityId], actor: str, limit: int, lease: timedelta) -> list[ReviewItem]:
        """See the port."""
        parameters = {
            "facilities": sorted(facilities),
            "actor": actor,
            "max": limit,
            "lease": lease.total_seconds(),
            "head_start": HEAD_START_S,
        }

        def work(connection: Connection) -> list[ReviewItem]:
            rows = connection.exec_driver_sql(statement("review_lease"), parameters).all()
            for row in rows:
                if row.fresh:
                    record(connection, row.facility_id, actor, "review.leased", str(row.image_id))
            return review_items(connection, [(row.facility_id, row.image_id) for row in rows], actor)

        return self._database.core(work)

    def item(self, facilities: frozenset[FacilityId], image_id: ImageId) -> ReviewItem | None:
        """See the port."""
        keys = [(facility, image_id) for facility in facilities]
        found = self._database.core(lambda connection: review_items(connection, keys))
        return found[0] if found else None

    def items(self, facilities: frozenset[FacilityId], limit: int) -> list[ReviewItem]:
        """See the port."""
        age_s = func.extract("epoch", func.clock_timestamp() - _ITEMS.c.opened_at)
        query = (
            select(_ITEMS.c.facility_id, _ITEMS.c.image_id)
            .where(_ITEMS.c.facility_id.in_(facilities), is_open())
            .order_by((_ITEMS.c.weight * (HEAD_START_S + age_s)).desc(), _ITEMS.c.image_id)
            .limit(limit)
        )
        return self._database.core(lambda c: review_items(c, [(row[0], row[1]) for row in c.execute(query)]))

    def release(self, facilities: frozenset[FacilityId], image_id: ImageId, actor: str) -> bool | None:
        """See the port."""

        def work(connection: Connection) -> bool | None:
            item = _locked(connection, facilities, image_id)
            if item is None:
                return None
            if item.state != "open" or item.leased_by != actor:
                return False
            _change(connection, item, leased_by=None, leased_until=None)
            record(connection, item.facility_id, actor, "review.released", str(image_id))
            return True

        return self._database.core(work)

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

        def work(connection: Connection) -> Review | ReviewConflict | ReviewRefused | None:
            item = _locked(connection, facilities, image_id)
            if item is None:
                return None
            now = clock_time(connection)
            earlier = reviews_of(connection, item)
            if earlier and earlier[-1].is_repeated(version, shown_sha256, decision, actor):
                return earlier[-1]
            (held,) = review_items(connection, [(item.facility_id, item.image_id)])
            try:
                held.check(version, shown_sha256, decision, actor, now)
            except (ReviewConflict, ReviewRefused) as why:
                body = held.audited_refusal(version, storable(shown_sha256), decision, why)
                record(connection, item.facility_id, actor, "review.refused", str(image_id), body)
                return why
            return self._accept(connection, item, earlier, decision, actor, shown_sha256, now, undo)

        done = self._database.core(work)
        # Raised after the commit: that somebody came second is in the audit.
        if isinstance(done, ReviewConflict | ReviewRefused):
            raise done
        return done

    def _accept(
        self,
        connection: Connection,
        item: Row[Any],
        earlier: Sequence[Review],
        decision: Decision,
        actor: str,
        shown_sha256: str,
        now: datetime,
        undo: timedelta,
    ) -> Review:
        skips = decision.choice is Choice.SKIP
        review = Review(
            new_uuid7(now.timestamp()),
            item.facility_id,
            item.image_id,
            decision,
            actor,
            now,
            item.version,
            shown_sha256,
            undo_until=None if skips else now + undo,
        )
        append_review(connection, review)
        free = {"leased_by": None, "leased_until": None}
        if skips:
            _change(connection, item, **free, skipped_by=[*{*item.skipped_by, actor}])
        else:
            ends = {"state": "decided", "review_id": review.review_id, "settle_at": review.undo_until}
            _change(connection, item, **free, **ends, **_said([*earlier, review]), choice=decision.choice)
        action = "review.skipped" if skips else "review.decided"
        record(connection, item.facility_id, actor, action, str(item.image_id), review.audited())
        return review

    def undo(self, facilities: frozenset[FacilityId], review_id: UUID, actor: str, lease: timedelta) -> Review | None:
        """See the port."""

        def work(connection: Connection) -> Review | ReviewRefused | None:
            which = select(_REVIEWS.c.image_id).where(
                _REVIEWS.c.review_id == review_id, _REVIEWS.c.facility_id.in_(facilities)
            )
            image_id = connection.execute(which).scalar_one_or_none()
            item = None if image_id is None else _locked(connection, facilities, image_id)
            if item is None:
                return None
            now = clock_time(connection)
            earlier = reviews_of(connection, item)
            undone = next(review for review in earlier if review.review_id == review_id)
            in_time = item.review_id == review_id and item.settle_at is not None and item.settle_at > now
            if (why := undone.undo_fault(actor, in_time=in_time)) is not None:
                body = {"choice": "undo", "why": why}
                record(connection, item.facility_id, actor, "review.refused", str(image_id), body)
                return ReviewRefused("review-final", f"the decision stands: {why}")
            review = Review(
                new_uuid7(now.timestamp()),
                item.facility_id,
                item.image_id,
                Decision(Choice.UNDO),
                actor,
                now,
                item.version,
                "",
                undoes=review_id,
            )
            append_review(connection, review)
            mine = {"leased_by": actor, "leased_until": now + lease}
            again = {"state": "open", "review_id": None, "settle_at": None, "choice": None}
            _change(connection, item, **mine, **again, **_said([*earlier, review]))
            record(connection, item.facility_id, actor, "review.undone", str(item.image_id), review.audited())
            return review

        done = self._database.core(work)
        if isinstance(done, ReviewRefused):
            raise done
        return done

    def settle(self, limit: int, tell: Tell) -> int:
        """See the port. Several share the work."""

        def work(connection: Connection) -> int:
            due = select(_ITEMS).where(_ITEMS.c.settle_at <= func.clock_timestamp()).order_by(_ITEMS.c.settle_at)
            items = connection.execute(due.limit(limit).with_for_update(skip_locked=True)).all()
            left = limit
            for done, item in enumerate(items):
                if left <= 0:
                    return done
                left -= settle_item(connection, item, left, tell)
            return len(items)

        settled = self._database.core(work)
        if settled:
            wake(self._database, [ALERTS])
        return settled

    def backfill(self, facility: FacilityId, actor: str, limit: int) -> int:
        """See the port."""
        parameters = {"facility": facility, "max": limit, "weight": SAMPLE_WEIGHT}

        def work(connection: Connection) -> int:
            opened = len(connection.exec_driver_sql(statement("review_backfill"), parameters).all())
            if opened:
                record(connection, facility, actor, "review.backfilled", facility, {"items": opened})
            return opened

        return self._database.core(work)

    def decided(self, where: DecidedFilter, limit: int) -> list[DecidedImage]:
        """See the port."""

        def work(connection: Connection) -> list[DecidedImage]:
            return decided_images(connection, where.facility, connection.execute(final_items(where, limit)).all())

        return self._database.core(work)

    def backlog(self) -> Backlog:
        """See the port."""
        age_s = func.extract("epoch", func.clock_timestamp() - func.min(_ITEMS.c.opened_at))
        query = select(func.count(), age_s).where(is_open())
        count, oldest_s = self._database.core(lambda connection: connection.execute(query).one())
        return Backlog(count, max(0.0, float(oldest_s or 0)))

    def escapes(self) -> list[Tally]:
        """See the port."""
        return self._database.core(escapes)

    def latest(self, facilities: frozenset[FacilityId], limit: int) -> list[Review]:
        """See the port."""
        return self._database.core(lambda connection: latest_reviews(connection, facilities, limit))

    def stats(self, facilities: frozenset[FacilityId]) -> ReviewStats:
        """See the port."""
        return self._database.core(lambda connection: review_stats(connection, facilities))


def _locked(connection: Connection, facilities: frozenset[FacilityId], image_id: ImageId) -> Row[Any] | None:
    query: Select[Any] = select(_ITEMS).where(_ITEMS.c.facility_id.in_(facilities), _ITEMS.c.image_id == image_id)
    return connection.execute(query.with_for_update()).one_or_none()


def _said(reviews: Iterable[Review]) -> dict[str, Any]:
    last = standing(reviews)
    return {"verdict": last and str(last.decision.choice), "class": (last and last.decision.name) or None}


def _change(connection: Connection, item: Row[Any], **changes: Any) -> None:
    which = (_ITEMS.c.facility_id == item.facility_id, _ITEMS.c.image_id == item.image_id)
    connection.execute(update(_ITEMS).where(*which).values(version=item.version + 1, **changes))
