"""The trace of an image, and which image the messages to receivers are about."""

from typing import Any

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_TRACES = """
-- W3C traceparent that the image's messages began with; null: none. Messages are hints, so that it is kept here as well.
alter table images add column trace text;

-- The image whose alert made the change; null: none did, or it was made before.
alter table incident_events add column image_id uuid;
create index incident_events_by_image on incident_events (image_id) where image_id is not null;
"""


def upgrade() -> None:
    """Reads nothing."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_TRACES, prepare=False)


def downgrade() -> None:
    """The columns would only be in nobody's way."""
    raise NotImplementedError("go back by restoring a backup")
