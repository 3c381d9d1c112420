"""How many alerts each outcome raised: whether some are missing cannot be told from the policy of now."""

from typing import Any

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ALERTS = """
alter table outcomes add column alerts smallint; -- null: an outcome of before, or a reused one, which raises none
"""


def upgrade() -> None:
    """Outcomes of before stay uncounted."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_ALERTS, prepare=False)


def downgrade() -> None:
    """Outcomes are immutable."""
    raise NotImplementedError("what outcomes raised cannot be forgotten: restore a backup instead")
