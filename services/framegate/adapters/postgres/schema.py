"""Tables and columns that statements written with SQLAlchemy Core name. The migrations make them."""

from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
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
people = _table("people", name=Text, password_hash=Text, created_at=_MOMENT, disabled_at=_MOMENT)
person_roles = _table("person_roles", person=Text, facility_id=Text, role=Text)
invitations = _table("invitations", person=Text, token_hash=LargeBinary, expires_at=_MOMENT)
logins = _table(
    "logins",
    login_id=Uuid,
    token_hash=LargeBinary,
    person=Text,
    opened_at=_MOMENT,
    seen_at=_MOMENT,
    expires_at=_MOMENT,
    address=Text,
    agent=Text,
)
policies = _table("policies", facility_id=Text, version=Integer, document=JSONB, created_at=_MOMENT, created_by=Text)
models = _table(
    "models",
    ref=Text,
    name=Text,
    version=Text,
    sha256=Text,
    size_bytes=BigInteger,
    blob_key=Text,
    manifest=Text,
    registered_as=Text,
    state=Text,
    registered_at=_MOMENT,
    registered_by=Text,
)
deployments = _table(
    "deployments",
    number=BigInteger,
    incumbent=Text,
    canary=Text,
    canary_share=Double,
    shadow=Text,
    state=Text,
    detail=Text,
    actor=Text,
    since=_MOMENT,
    activated_at=_MOMENT,
)
deployment_loads = _table(
    "deployment_loads", number=BigInteger, worker=Text, problem=Text, at=_MOMENT, serving_since=_MOMENT
)
shadow_results = _table(
    "shadow_results", **_ID, model=Text, model_sha256=Text, engine=Text, classes=ARRAY(Text), detections=LargeBinary
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
    trace=Text,
)
uploads = _table(
    "uploads",
    facility_id=Text,
    upload_id=Uuid,
    key_id=Text,
    camera_id=Text,
    lane=Text,
    captured_at=_MOMENT,
    metadata=JSONB,
    media_type=Text,
    sha256=Text,
    size_bytes=BigInteger,
    created_at=_MOMENT,
    expires_at=_MOMENT,
)
progress = _table("progress", **_ID, state=Text)
outcomes = _table(
    "outcomes",
    **_ID,
    state=Text,
    verdict=Text,
    reason=Text,
    model=Text,
    decided_at=_MOMENT,
    inference_ms=REAL,
    looks=JSONB,
)
detections = _table("detections", **_ID, ordinal=SmallInteger, **{"class": Text, "confidence": REAL, "leads": Boolean})
alert_outbox = _table(
    "alert_outbox",
    id=Uuid,
    **_ID,
    rule=Text,
    severity=Text,
    subject=Text,
    summary=Text,
    payload=JSONB,
    window_s=REAL,
    escalate_after_s=REAL,
    created_at=_MOMENT,
    incident_id=Uuid,
    over=Boolean,
)
incidents = _table(
    "incidents",
    incident_id=Uuid,
    facility_id=Text,
    rule=Text,
    subject=Text,
    severity=Text,
    state=Text,
    summary=Text,
    images=BigInteger,
    first_image=Uuid,
    last_image=Uuid,
    opened_at=_MOMENT,
    last_at=_MOMENT,
    window_s=REAL,
    escalate_after_s=REAL,
    escalated_at=_MOMENT,
    acknowledged_at=_MOMENT,
    acknowledged_by=Text,
    resolved_at=_MOMENT,
    resolved_by=Text,
)
incident_events = _table(
    "incident_events",
    message_id=Text,
    sequence=BigInteger,
    incident_id=Uuid,
    facility_id=Text,
    image_id=Uuid,
    change=Text,
    actor=Text,
    at=_MOMENT,
    severity=Text,
    title=Text,
    body=Text,
    link=Text,
    payload=Text,
)
hook_endpoints = _table(
    "hook_endpoints",
    endpoint_id=Uuid,
    facility_id=Text,
    kind=Text,
    target=Text,
    changes=ARRAY(Text),
    min_severity=Text,
    enabled=Boolean,
    reason=Text,
    generation=Integer,
    rotated_at=_MOMENT,
    created_at=_MOMENT,
    created_by=Text,
    failing_since=_MOMENT,
    failures=Integer,
    last_success_at=_MOMENT,
)
hook_deliveries = _table(
    "hook_deliveries",
    delivery_id=BigInteger,
    endpoint_id=Uuid,
    message_id=Text,
    state=Text,
    attempts=Integer,
    created_at=_MOMENT,
    due_at=_MOMENT,
    owner=Text,
    token=Uuid,
    leased_until=_MOMENT,
    ended_at=_MOMENT,
    reason=Text,
)
hook_attempts = _table(
    "hook_attempts",
    sequence=BigInteger,
    delivery_id=BigInteger,
    endpoint_id=Uuid,
    attempt=Integer,
    at=_MOMENT,
    worker=Text,
    ending=Text,
    status=Integer,
    reason=Text,
    detail=Text,
    request_head=Text,
    response_head=Text,
    elapsed_ms=REAL,
)
review_items = _table(
    "review_items",
    **_ID,
    camera_id=Text,
    sha256=Text,
    origin=Text,
    automatic=Text,
    model=Text,
    weight=REAL,
    opened_at=_MOMENT,
    version=Integer,
    state=Text,
    leased_by=Text,
    leased_until=_MOMENT,
    skipped_by=ARRAY(Text),
    review_id=Uuid,
    choice=Text,
    **{"class": Text},
    verdict=Text,
    settle_at=_MOMENT,
)
reviews = _table(
    "reviews",
    review_id=Uuid,
    sequence=BigInteger,
    **_ID,
    choice=Text,
    **{"class": Text},
    boxes=JSONB,
    note=Text,
    reviewer=Text,
    at=_MOMENT,
    version=Integer,
    shown_sha256=Text,
    undoes=Uuid,
    undo_until=_MOMENT,
)
camera_health = _table(
    "camera_health",
    facility_id=Text,
    camera_id=Text,
    faults=ARRAY(Text),
    state=JSONB,
    silent_at=_MOMENT,
    updated_at=_MOMENT,
)
camera_watch = _table("camera_watch", one=Boolean, sequence=BigInteger, looked_at=_MOMENT, awake_since=_MOMENT)
_SUBJECT: dict[str, Any] = {"facility_id": Text, "kind": Text, "subject": Text}
drift_subjects = _table("drift_subjects", **_SUBJECT, state=JSONB, updated_at=_MOMENT)
drift_references = _table("drift_references", **_SUBJECT, part=Text, frozen_at=_MOMENT, body=JSONB)
drift_blocks = _table("drift_blocks", **_SUBJECT, part=Text, began_at=_MOMENT, at=_MOMENT, images=Integer, counts=JSONB)
drift_hours = _table("drift_hours", **_SUBJECT, hour=_MOMENT, images=Integer, counts=JSONB, scores=JSONB)
drift_findings = _table(
    "drift_findings", finding_id=Uuid, **_SUBJECT, feature=Text, began_at=_MOMENT, ended_at=_MOMENT, body=JSONB
)
drift_watch = _table("drift_watch", one=Boolean, sequence=BigInteger)
retention = _table("retention", facility_id=Text, **{"class": Text}, days=Integer)
retention_walks = _table("retention_walks", facility_id=Text, after=BigInteger, began_at=_MOMENT)
erasures = _table("erasures", **_ID, part=Text, reason=Text, actor=Text, at=_MOMENT, done_at=_MOMENT)
holds = _table(
    "holds",
    hold_id=Uuid,
    **_ID,
    metadata=JSONB,
    camera_id=Text,
    received_from=_MOMENT,
    received_until=_MOMENT,
    reason=Text,
    placed_at=_MOMENT,
    placed_by=Text,
    lifted_at=_MOMENT,
    lifted_by=Text,
    lift_reason=Text,
)
audit = _table(
    "audit",
    sequence=BigInteger,
    id=Uuid,
    facility_id=Text,
    actor=Text,
    action=Text,
    object=Text,
    body=JSONB,
    at=_MOMENT,
)
audit_seals = _table(
    "audit_seals",
    number=BigInteger,
    first_sequence=BigInteger,
    last_sequence=BigInteger,
    missing=JSONB,
    leaves=LargeBinary,
    root=LargeBinary,
    previous=LargeBinary,
    sealed_at=_MOMENT,
    hash=LargeBinary,
)
