"""When each inference worker began to serve a deployment."""

from typing import Any

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SERVING = "alter table deployment_loads add column serving_since timestamptz;"


def upgrade() -> None:
    """Deployments of before are waited for by nobody."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_SERVING, prepare=False)


def downgrade() -> None:
    """Nothing depends on it but who waits for a deployment."""
    op.drop_column("deployment_loads", "serving_since")
