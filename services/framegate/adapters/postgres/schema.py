"""Tables and columns that statements written with SQLAlchemy Core name. The migrations make them."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()
_MOMENT = DateTime(timezone=True)
_ID: dict[str, Any] = {"facility_id": Text, "image_id": Uuid}


def _table(table: str, /, **columns: Any) -> Table:
    return Table(table, metadata, *(Column(column, kind) for column, kind in columns.items()))


facilities = _table("facilities", id=Text, name=Text, enabled=Boolean, created_at=_MOMENT)
cameras = _table("cameras", facility_id=Text, id=Text, status=Text, created_at=_MOMENT)
api_keys = _table(
    "api_keys",
    key_id=Text,
    name=Text,
    secret_hash=LargeBinary,
    scopes=ARRAY(Text),
    facilities=ARRAY(Text),
    created_at=_MOMENT,
    expires_at=_MOMENT,
    revoked_at=_MOMENT,
)
policies = _table("policies", facility_id=Text, version=Integer, document=JSONB, created_at=_MOMENT, created_by=Text)
serving_models = _table(
    "serving_models", id=BigInteger, model=Text, sha256=Text, manifest=Text, since=_MOMENT, actor=Text
)
workers = _table(
    "workers", name=Text, stages=ARRAY(Text), ready=Boolean, reason=Text, metrics_port=Integer, seen_at=_MOMENT
)
images = _table(
    "images",
    **_ID,
    camera_id=Text,
    lane=Text,
    sha256=Text,
    metadata=JSONB,
    received_at=_MOMENT,
)
progress = _table("progress", **_ID, state=Text)
outcomes = _table("outcomes", **_ID, state=Text, verdict=Text)
detections = _table("detections", **_ID, **{"class": Text, "leads": Boolean})
audit = _table("audit", facility_id=Text, actor=Text, action=Text, object=Text, body=JSONB)
