"""What the classifiers of a policy's chain called an image or the things in it."""

from typing import Any

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_LABELS = """
-- [[detection's ordinal from 0 or null, model, class, confidence], ...]; null where nothing was named. On the progress row
-- they are part of the finding.
alter table outcomes add column labels jsonb;
"""


def upgrade() -> None:
    """Old outcomes keep no labels: there were none."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_LABELS, prepare=False)


def downgrade() -> None:
    """Outcomes are immutable, and what they say is not thrown away."""
    raise NotImplementedError("labels of outcomes cannot be removed: restore a backup instead")
