"""Uploads that were announced and go to the bucket without passing the API."""

from typing import Any

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_UPLOADS = """
create table uploads (
  facility_id text not null,
  upload_id uuid not null, -- the image's id, when it comes
  key_id text not null,
  camera_id text not null,
  lane text not null check (lane in ('live', 'bulk')),
  captured_at timestamptz,
  metadata jsonb not null,
  media_type text not null,
  sha256 text not null,
  size_bytes bigint not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (facility_id, upload_id)
);
-- An object's key holds the id; its facility is known only from this row.
create unique index uploads_by_id on uploads (upload_id);
"""


def upgrade() -> None:
    """Creates everything."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_UPLOADS, prepare=False)


def downgrade() -> None:
    """What was announced may still arrive."""
    raise NotImplementedError("announced uploads cannot be forgotten: restore a backup instead")
