"""What searching images and looking over a site need: indexes, and the last count of everything."""

from typing import Any

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_SEARCH = """
create index outcomes_by_model on outcomes (facility_id, model, image_id) where model is not null;
create index outcomes_by_reason on outcomes (facility_id, reason, image_id) include (verdict);
-- With the confidence, so that a threshold that nothing reaches is found out without reading the rows.
drop index detections_by_class;
create index detections_by_class on detections (facility_id, class, image_id) include (confidence) where leads;
create index detections_surest on detections (facility_id, image_id) include (confidence) where ordinal = 1;
create index images_of_bulk on images (facility_id, image_id) where lane = 'bulk';
create index review_items_decided on review_items (facility_id, image_id) where state = 'decided';
create index review_items_by_verdict on review_items (facility_id, verdict, image_id) where verdict is not null;
"""

_OVERVIEW = """
alter table outcomes add column camera_id text; -- null: an outcome of before, which no page needs after an hour
-- What ended lately, without reading the rows; for that, they are vacuumed more often than once a fifth of all.
create index outcomes_lately on outcomes (facility_id, camera_id, decided_at) include (verdict, state, received_at)
  where camera_id is not null;
alter table outcomes set (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000);

create table stock (
  facility_id text primary key references facilities (id),
  counted_at timestamptz not null,
  accepted bigint not null,
  decided bigint not null,
  rejected bigint not null,
  failed bigint not null,
  in_flight bigint not null,
  lost bigint not null,
  passes bigint not null,
  fails bigint not null,
  reviews bigint not null,
  missing uuid[] not null -- up to 100 images that are neither in flight nor ended
);
"""


def upgrade() -> None:
    """Reads every image once: a minute or so for millions."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_SEARCH, prepare=False)
    connection.execute(_OVERVIEW, prepare=False)


def downgrade() -> None:
    """Everything is an index, or counted anew."""
    raise NotImplementedError("go back by restoring a backup")
