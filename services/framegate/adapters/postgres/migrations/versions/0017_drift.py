"""What is usual for cameras and models, how far each hour was from it, and what was found."""

from typing import Any

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_DRIFT = """
-- One row for whoever may drift: `subject` is a camera, or a model as name@version.
create table drift_subjects (
  facility_id text not null references facilities (id),
  kind text not null check (kind in ('camera', 'model')),
  subject text not null,
  state jsonb not null, -- the window that goes on, and what drifts
  updated_at timestamptz not null,
  primary key (facility_id, kind, subject)
) with (fillfactor = 50);

create table drift_references (
  facility_id text not null,
  kind text not null,
  subject text not null,
  part text not null, -- picture: of the camera alone; model: of what the model finds
  frozen_at timestamptz not null,
  body jsonb not null,
  primary key (facility_id, kind, subject, part),
  foreign key (facility_id, kind, subject) references drift_subjects (facility_id, kind, subject)
);

-- Windows that a reference is learnt from; they go when it is frozen.
create table drift_blocks (
  facility_id text not null,
  kind text not null,
  subject text not null,
  part text not null,
  began_at timestamptz not null,
  at timestamptz not null, -- of its last image
  images integer not null,
  counts jsonb not null,
  foreign key (facility_id, kind, subject) references drift_subjects (facility_id, kind, subject)
);
create index drift_blocks_of on drift_blocks (facility_id, kind, subject, part);

create table drift_hours (
  facility_id text not null,
  kind text not null,
  subject text not null,
  hour timestamptz not null,
  images integer not null,
  counts jsonb not null,
  scores jsonb not null,
  primary key (facility_id, kind, subject, hour),
  foreign key (facility_id, kind, subject) references drift_subjects (facility_id, kind, subject)
);
create index drift_hours_old on drift_hours (hour);

create table drift_findings (
  finding_id uuid primary key,
  facility_id text not null,
  kind text not null,
  subject text not null,
  feature text not null,
  began_at timestamptz not null,
  ended_at timestamptz, -- null: it holds
  body jsonb not null, -- numbers, histograms, and the images that moved it
  foreign key (facility_id, kind, subject) references drift_subjects (facility_id, kind, subject)
);
create index drift_findings_by_time on drift_findings (facility_id, began_at);
create index drift_findings_that_hold on drift_findings (facility_id) where ended_at is null;

-- One row. It begins with what comes now: a reference is of what is usual from here on.
create table drift_watch (one boolean primary key check (one), sequence bigint not null);
insert into drift_watch (one, sequence) select true, coalesce(max(sequence), 0) from camera_watch;
"""


def upgrade() -> None:
    """Quick whatever the history."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_DRIFT, prepare=False)


def downgrade() -> None:
    """What was usual would be lost."""
    raise NotImplementedError("what was learnt about drift cannot be undone: restore a backup instead")
