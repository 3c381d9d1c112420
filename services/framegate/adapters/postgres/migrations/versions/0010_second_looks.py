"""A second look at what the first one left in doubt."""

from typing import Any

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_LOOKS = """
-- {region: [x, y, width, height], prepared, finding, detections: hex} of the look before the one that is under way; null
-- where there was none. It is written once.
alter table progress add column first_look json;

-- [{region, zoom, said, model, model_sha256, engine, seen: [[class, confidence, [x1, y1, x2, y2]], ...]}, ...] of both
-- looks; null where one was enough.
alter table outcomes add column looks jsonb;
"""


def upgrade() -> None:
    """Old outcomes rest on one look."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_LOOKS, prepare=False)


def downgrade() -> None:
    """Outcomes are immutable, and what they say is not thrown away."""
    raise NotImplementedError("looks of outcomes cannot be removed: restore a backup instead")
