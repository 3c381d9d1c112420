"""Incidents, endpoints of receivers, and deliveries to them."""

from typing import Any

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ALERTS = """
-- Nothing ever wrote or read it; the incident that took an alert says that it was dealt with.
alter table alert_outbox
  drop column delivered_at,
  alter column image_id drop not null, -- a silent camera has no image
  add column window_s real not null default 1800,
  add column escalate_after_s real,
  add column incident_id uuid;
create index alerts_to_group on alert_outbox (created_at, id) where incident_id is null;
create index alerts_by_incident on alert_outbox (incident_id, created_at) where incident_id is not null;
"""

_INCIDENTS = """
create table incidents (
  incident_id uuid primary key,
  facility_id text not null,
  rule text not null,
  subject text not null,
  severity text not null check (severity in ('critical', 'warning')),
  state text not null check (state in ('open', 'acknowledged', 'resolved')),
  summary text not null,
  images bigint not null, -- alerts that it took
  first_image uuid,
  last_image uuid,
  opened_at timestamptz not null,
  last_at timestamptz not null,
  window_s real not null,
  escalate_after_s real,
  escalated_at timestamptz,
  acknowledged_at timestamptz,
  acknowledged_by text,
  resolved_at timestamptz,
  resolved_by text
);
create unique index incidents_going_on on incidents (facility_id, rule, subject) where state <> 'resolved';
create index incidents_newest on incidents (facility_id, last_at desc);

-- What was announced of an incident, appended; the payload is what every endpoint gets, at every attempt.
create table incident_events (
  message_id text primary key,
  sequence bigint generated always as identity,
  incident_id uuid not null references incidents (incident_id),
  facility_id text not null,
  change text not null,
  actor text not null,
  at timestamptz not null,
  severity text not null,
  title text not null,
  body text not null,
  link text,
  payload text not null
);
create index incident_events_of on incident_events (incident_id, sequence);
"""

_HOOKS = """
create table hook_endpoints (
  endpoint_id uuid primary key,
  facility_id text not null references facilities (id),
  kind text not null check (kind in ('webhook', 'slack', 'sns')),
  target text not null,
  changes text[] not null, -- empty: all
  min_severity text not null check (min_severity in ('critical', 'warning')),
  enabled boolean not null,
  reason text not null,
  generation integer not null,
  rotated_at timestamptz,
  created_at timestamptz not null,
  created_by text not null,
  failing_since timestamptz,
  failures integer not null default 0,
  last_success_at timestamptz
);
create index hook_endpoints_of on hook_endpoints (facility_id);

create table hook_deliveries (
  delivery_id bigint generated always as identity primary key,
  endpoint_id uuid not null references hook_endpoints (endpoint_id) on delete cascade,
  message_id text not null references incident_events (message_id),
  state text not null check (state in ('pending', 'delivered', 'dead')),
  attempts integer not null default 0,
  created_at timestamptz not null,
  due_at timestamptz not null,
  owner text,
  token uuid,
  leased_until timestamptz,
  ended_at timestamptz,
  reason text not null default '',
  unique (endpoint_id, message_id)
);
create index hook_deliveries_due on hook_deliveries (endpoint_id, due_at) where state = 'pending';
create index hook_deliveries_dead on hook_deliveries (created_at) where state = 'dead';
create index hook_deliveries_ended on hook_deliveries (ended_at) where ended_at is not null;
create index hook_deliveries_of on hook_deliveries (message_id);

create table hook_attempts (
  sequence bigint generated always as identity primary key,
  delivery_id bigint not null references hook_deliveries (delivery_id) on delete cascade,
  endpoint_id uuid not null,
  attempt integer not null,
  at timestamptz not null,
  worker text not null,
  ending text not null,
  status integer,
  reason text not null,
  detail text not null,
  request_head text not null,
  response_head text not null,
  elapsed_ms real not null
);
create index hook_attempts_of on hook_attempts (endpoint_id, sequence desc);
create index hook_attempts_by_delivery on hook_attempts (delivery_id);
"""


def upgrade() -> None:
    """Alerts of before are grouped at once: nobody has been told of them."""
    connection: Any = op.get_bind().connection.driver_connection
    for script in (_ALERTS, _INCIDENTS, _HOOKS):
        connection.execute(script, prepare=False)


def downgrade() -> None:
    """People were told."""
    raise NotImplementedError("incidents and deliveries cannot be undone: restore a backup instead")
