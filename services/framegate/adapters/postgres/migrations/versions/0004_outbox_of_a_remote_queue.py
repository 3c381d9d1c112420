"""Messages for a queue that is not in this database, until they are sent."""

from typing import Any

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OUTBOX = """
-- Written in the transaction that makes the message true, removed when it was sent; nearly always empty.
create table outbox (
  id bigint generated always as identity primary key,
  queue text not null,
  body text not null,
  enqueued_at timestamptz not null default clock_timestamp(),
  visible_at timestamptz not null default clock_timestamp()
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
"""


def upgrade() -> None:
    """Nothing is in it as long as the queue is in this database."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_OUTBOX, prepare=False)


def downgrade() -> None:
    """What was not sent yet is sent by the sweeper after its time: nothing is lost."""
    op.execute("drop table outbox")
