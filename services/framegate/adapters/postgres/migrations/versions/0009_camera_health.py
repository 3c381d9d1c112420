"""What is usual for each camera, which faults it has, and how far its images were looked at."""

from typing import Any

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_HEALTH = """
create table camera_health (
  facility_id text not null,
  camera_id text not null,
  faults text[] not null default '{}', -- those that hold: read by every claim of the gate
  state jsonb not null, -- what is usual for it
  silent_at timestamptz, -- when it is silent for too long; null: it is, or too little is known
  updated_at timestamptz not null,
  primary key (facility_id, camera_id)
) with (fillfactor = 50);

-- One row. It begins with what comes now: older images have nothing that could be judged.
create table camera_watch (
  one boolean primary key check (one),
  sequence bigint not null, -- of the last outcome that was judged
  looked_at timestamptz not null,
  awake_since timestamptz not null -- since when somebody has looked without a pause
);
insert into camera_watch (one, sequence, looked_at, awake_since)
select true, coalesce(max(newest.sequence), 0), clock_timestamp(), clock_timestamp()
from facilities f cross join lateral (
  select sequence from outcomes where facility_id = f.id order by sequence desc limit 1
) newest;

alter table alert_outbox add column over boolean not null default false; -- what it is about has passed
"""


def upgrade() -> None:
    """Quick whatever the history: one row of it is looked at for each facility."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_HEALTH, prepare=False)


def downgrade() -> None:
    """What was usual would be lost."""
    raise NotImplementedError("the health of cameras cannot be undone: restore a backup instead")
