"""What the review desk tells of itself."""

from collections import Counter, defaultdict
from typing import Final

from sqlalchemy import Connection, func, select

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.review_rows import is_open
from framegate.kernel.ids import FacilityId
from framegate.kernel.reviews import LATELY, Choice, Tally
from framegate.ports.reviews import ReviewStats

_ITEMS, _REVIEWS = schema.review_items, schema.reviews
_TALLIES: Final = """
select kind, name, count(*) filter (where choice <> 'cannot-tell'), count(*) filter (where choice = 'fail'),
  count(*) filter (where choice = 'cannot-tell')
from review_items
cross join lateral (values ('all', ''), ('camera', camera_id), ('model', coalesce(model, ''))) as of (kind, name)
where facility_id = any (%(facilities)s) and origin = 'sample' and state = 'decided'
group by kind, name order by kind, name
"""
_ESCAPES: Final = """
select 'model', coalesce(model, ''), count(*) filter (where choice <> 'cannot-tell'),
  count(*) filter (where choice = 'fail'), count(*) filter (where choice = 'cannot-tell')
from review_items
where origin = 'sample' and state = 'decided' and opened_at > clock_timestamp() - %(lately)s
group by model order by 2
"""
_ESCAPED_CLASSES: Final = """
select class, count(*) from review_items
where facility_id = any (%(facilities)s) and origin = 'sample' and choice = 'fail' group by class order by class
"""


def review_stats(connection: Connection, facilities: frozenset[FacilityId]) -> ReviewStats:
    """See `Reviews.stats`."""
    here = {"facilities": sorted(facilities)}
    waiting = select(
        func.count(),
        func.count().filter(_ITEMS.c.leased_until > func.clock_timestamp()),
        func.min(_ITEMS.c.opened_at),
    ).where(_ITEMS.c.facility_id.in_(facilities), is_open())
    undone = select(_REVIEWS.c.undoes).where(_REVIEWS.c.facility_id.in_(facilities), _REVIEWS.c.undoes.is_not(None))
    said = (
        select(_REVIEWS.c.reviewer, _REVIEWS.c.choice, func.count())
        .where(
            _REVIEWS.c.facility_id.in_(facilities),
            _REVIEWS.c.choice != Choice.UNDO,
            _REVIEWS.c.review_id.not_in(undone),
            _REVIEWS.c.at > func.clock_timestamp() - LATELY,
        )
        .group_by(_REVIEWS.c.reviewer, _REVIEWS.c.choice)
    )
    count, leased, oldest = connection.execute(waiting).one()
    reviewers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for reviewer, choice, n in connection.execute(said):
        reviewers[reviewer][choice] = n
    tallies = [Tally(*row) for row in connection.exec_driver_sql(_TALLIES, here)]
    judged = next((tally.judged for tally in tallies if tally.kind == "all"), 0)
    classes = connection.exec_driver_sql(_ESCAPED_CLASSES, here)
    tallies += [Tally("class", name, judged, escaped) for name, escaped in classes]
    return ReviewStats(count, leased, oldest, reviewers, tallies)


def escapes(connection: Connection) -> list[Tally]:
    """See `Reviews.escapes`."""
    return [Tally(*row) for row in connection.exec_driver_sql(_ESCAPES, {"lately": LATELY})]
