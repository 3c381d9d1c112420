"""How long pictures and metadata are kept, what was erased, and what must not be."""

from typing import Any

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_RETENTION = """
-- Without a row: for ever. Who said so, and when, is in the audit.
create table retention (
  facility_id text not null references facilities (id),
  class text not null,
  days integer not null check (days > 0),
  primary key (facility_id, class)
);

-- How far the walk through a facility's ended images is; `after` is null when it has come to its end.
create table retention_walks (
  facility_id text primary key references facilities (id),
  after bigint, -- a sequence number of outcomes
  began_at timestamptz not null
);

create table erasures (
  facility_id text not null,
  image_id uuid not null,
  part text not null check (part in ('original', 'metadata')),
  reason text not null,
  actor text not null,
  at timestamptz not null,
  done_at timestamptz, -- when its files were gone; null: somebody is at it, or died
  primary key (facility_id, image_id, part),
  foreign key (facility_id, image_id) references images (facility_id, image_id)
);
create index erasures_to_finish on erasures (at) where done_at is null;

-- Covers the images that meet every condition that is given.
create table holds (
  hold_id uuid primary key,
  facility_id text not null references facilities (id),
  image_id uuid,
  metadata jsonb check (jsonb_typeof(metadata) = 'object'),
  camera_id text,
  received_from timestamptz,
  received_until timestamptz,
  reason text not null,
  placed_at timestamptz not null,
  placed_by text not null,
  lifted_at timestamptz,
  lifted_by text,
  lift_reason text,
  check (image_id is not null or metadata is not null or camera_id is not null),
  check ((lifted_at is null) = (lifted_by is null) and (lifted_at is null) = (lift_reason is null))
);
create index holds_in_force on holds (facility_id) where lifted_at is null;

create function holds_on(image images) returns setof uuid language sql stable as $$
  select hold_id from holds h
  where h.facility_id = image.facility_id and h.lifted_at is null
    and (h.image_id is null or h.image_id = image.image_id)
    and (h.metadata is null or image.metadata @> h.metadata)
    and (h.camera_id is null or h.camera_id = image.camera_id)
    and (h.received_from is null or h.received_from <= image.received_at)
    and (h.received_until is null or h.received_until > image.received_at)
$$;
"""


def upgrade() -> None:
    """Everything is kept until somebody says otherwise."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_RETENTION, prepare=False)


def downgrade() -> None:
    """What was erased would look lost."""
    raise NotImplementedError("records of erasures cannot be removed: restore a backup instead")
