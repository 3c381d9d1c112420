"""Images on their way and at their end, the queues they wait in, and who may do what.

Every table that holds a tenant's data carries `facility_id`, and its keys start with it.
"""

from typing import Any

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TENANTS = """
create table facilities (
  id text primary key,
  name text not null,
  enabled boolean not null default true,
  created_at timestamptz not null default clock_timestamp()
);

create table cameras (
  facility_id text not null references facilities (id),
  id text not null,
  status text not null check (status in ('confirmed', 'unconfirmed')),
  created_at timestamptz not null default clock_timestamp(),
  primary key (facility_id, id)
);

create table api_keys (
  key_id text primary key,
  name text not null,
  secret_hash bytea not null,
  scopes text[] not null,
  facilities text[] not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz
);

create table policies (
  facility_id text not null references facilities (id),
  version integer not null check (version > 0),
  document jsonb not null,
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  primary key (facility_id, version)
);

create table serving_models (
  id bigint generated always as identity primary key,
  model text not null,
  sha256 text not null,
  manifest text not null,
  since timestamptz not null default clock_timestamp(),
  actor text not null
);

create table workers (
  name text primary key,
  stages text[] not null,
  ready boolean not null,
  reason text not null,
  metrics_port integer,
  seen_at timestamptz not null
) with (fillfactor = 50);
"""

# No foreign key from images to cameras and facilities: the check would lock the camera's row for every upload. The
# statement that accepts images adds a missing camera itself, and an invariant looks for images without one.
_IMAGES = """
create table images (
  facility_id text not null,
  image_id uuid not null,
  camera_id text not null,
  camera_status text not null check (camera_status in ('confirmed', 'unconfirmed')),
  lane text not null check (lane in ('live', 'bulk')),
  blob_key text not null,
  media_type text not null,
  sha256 text not null,
  size_bytes bigint not null,
  width integer not null,
  height integer not null,
  orientation smallint not null,
  flags text[] not null,
  captured_at timestamptz,
  metadata jsonb not null,
  key_id text not null,
  keyed_as uuid, -- image_id when it came with an Idempotency-Key, which sets it apart from the same capture without
  duplicate_of uuid,
  received_at timestamptz not null,
  primary key (facility_id, image_id)
);
create index images_by_camera on images (facility_id, camera_id, image_id);
create index images_by_bytes on images (facility_id, sha256, image_id);
create unique index images_by_capture on images (facility_id, camera_id, captured_at, sha256, keyed_as)
  nulls not distinct where captured_at is not null;
create index images_by_metadata on images using gin (metadata jsonb_path_ops) where metadata <> '{}';

create index images_by_receipt on images using brin (received_at);

create table idempotency_keys (
  facility_id text not null,
  key_id text not null,
  idempotency_key text not null,
  request_hash text not null,
  image_id uuid not null,
  created_at timestamptz not null,
  primary key (facility_id, key_id, idempotency_key),
  foreign key (facility_id, image_id) references images (facility_id, image_id) not enforced
);

-- Images in flight only. Most updates touch no indexed column and find room on their page (HOT).
create table progress (
  facility_id text not null,
  image_id uuid not null,
  lane text not null,
  state text not null check (state in ('received', 'prepared', 'inspected')),
  look integer not null default 1,
  token uuid,
  claimed_by text,
  claimed_stage text,
  lease_until timestamptz,
  claim_solo boolean not null default false, -- the open claim is a run alone
  solo boolean not null default false, -- the next claim must be one
  crashes smallint not null default 0, -- alone in flight, in this stage and look
  attempt integer not null default 0, -- of this stage and look
  attempts integer not null default 0, -- of all of them
  reissues smallint not null default 0, -- since it last moved on
  moved_at timestamptz not null,
  issued_at timestamptz not null, -- when its message was last sent
  done_tokens uuid[] not null default '{}', -- of completed claims, to recognise a completion that is repeated
  prepared json,
  finding json,
  detections bytea,
  finding_crashes smallint not null default 0, -- crashes that the finding rests on
  history jsonb not null default '[]',
  received_at timestamptz not null,
  preprocess_claimed_at timestamptz,
  prepared_at timestamptz,
  inference_claimed_at timestamptz,
  inspected_at timestamptz,
  gate_claimed_at timestamptz,
  preprocess_ms real,
  inference_ms real,
  primary key (facility_id, image_id),
  foreign key (facility_id, image_id) references images (facility_id, image_id)
) with (
  fillfactor = 50,
  autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_analyze_threshold = 500, autovacuum_analyze_scale_factor = 0.05,
  autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0
);

create table outcomes (
  facility_id text not null,
  image_id uuid not null,
  sequence bigint generated always as identity,
  written_by xid8 not null default pg_current_xact_id(),
  state text not null check (state in ('decided', 'rejected', 'failed')),
  verdict text check (verdict in ('pass', 'fail', 'review')),
  reason text not null,
  detail text not null,
  policy_version integer not null,
  model text,
  model_sha256 text,
  engine text,
  prepared jsonb,
  look integer not null,
  attempts integer not null,
  crashes smallint not null,
  history jsonb not null,
  reused_from uuid,
  completed_by uuid[] not null,
  received_at timestamptz not null,
  preprocess_claimed_at timestamptz,
  prepared_at timestamptz,
  inference_claimed_at timestamptz,
  inspected_at timestamptz,
  gate_claimed_at timestamptz,
  decided_at timestamptz not null,
  preprocess_ms real,
  inference_ms real,
  gate_ms real,
  primary key (facility_id, image_id),
  foreign key (facility_id, image_id) references images (facility_id, image_id),
  check ((verdict is not null) = (state = 'decided'))
);
create unique index outcomes_in_order on outcomes (facility_id, sequence);
create index outcomes_by_verdict on outcomes (facility_id, verdict, image_id) where verdict is not null;
create index outcomes_by_state on outcomes (facility_id, state, image_id) where state <> 'decided';

create table detections (
  facility_id text not null,
  image_id uuid not null,
  ordinal smallint not null, -- by falling confidence
  class text not null,
  confidence real not null,
  x1 real not null,
  y1 real not null,
  x2 real not null,
  y2 real not null,
  leads boolean not null, -- the most confident of its class in this image
  primary key (facility_id, image_id, ordinal),
  -- Written by the statement that writes the outcome; ten checks for each image would cost more than the rest of it.
  foreign key (facility_id, image_id) references outcomes (facility_id, image_id) not enforced
);
create index detections_by_class on detections (facility_id, class, image_id) where leads;

create table alert_outbox (
  id uuid primary key default gen_random_uuid(),
  facility_id text not null,
  image_id uuid not null,
  rule text not null,
  severity text not null check (severity in ('critical', 'warning')),
  subject text not null,
  summary text not null,
  payload jsonb not null,
  created_at timestamptz not null,
  delivered_at timestamptz,
  unique (facility_id, image_id, rule),
  foreign key (facility_id, image_id) references outcomes (facility_id, image_id)
);
create index alerts_to_deliver on alert_outbox (created_at) where delivered_at is null;
"""

_HISTORY = """
-- What went wrong with an attempt, appended; of very long histories the middle is dropped.
create function noted(history jsonb, stage text, at timestamptz, worker text, ending text, cause text) returns jsonb
language sql immutable return
  (case when jsonb_array_length(history) >= 100 then history - 50 else history end)
  || jsonb_build_object('stage', stage, 'at', at, 'worker', worker, 'ending', ending, 'cause', cause);
"""

_QUEUES = """
create table queue_messages (
  id bigint generated always as identity primary key,
  queue text not null,
  body text not null,
  visible_at timestamptz not null default clock_timestamp(),
  enqueued_at timestamptz not null default clock_timestamp(),
  receipt uuid,
  receive_count integer not null default 0,
  leased_by text
) with (
  autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_analyze_threshold = 1000, autovacuum_analyze_scale_factor = 0.05,
  autovacuum_vacuum_cost_delay = 0
);
create index queue_messages_to_receive on queue_messages (queue, visible_at, id);

create table dead_letters (
  id bigint generated always as identity primary key,
  queue text not null,
  body text not null,
  cause text not null,
  receive_count integer not null,
  enqueued_at timestamptz not null,
  died_at timestamptz not null default clock_timestamp()
);
"""

_AUDIT = """
create table audit (
  sequence bigint generated always as identity primary key,
  id uuid not null default gen_random_uuid(),
  facility_id text not null,
  actor text not null,
  action text not null,
  object text not null,
  body jsonb not null,
  at timestamptz not null default clock_timestamp()
);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only: % is refused', tg_table_name, tg_op using errcode = 'insufficient_privilege';
end $$;

create trigger audit_is_append_only before update or delete on audit
  for each row execute function refuse_change();
create trigger audit_is_not_emptied before truncate on audit
  for each statement execute function refuse_change();
create trigger outcomes_are_immutable before update or delete on outcomes
  for each row execute function refuse_change();
create trigger detections_are_immutable before update or delete on detections
  for each row execute function refuse_change();
create trigger detections_are_not_emptied before truncate on detections
  for each statement execute function refuse_change();
create trigger outcomes_are_not_emptied before truncate on outcomes
  for each statement execute function refuse_change();
"""


def upgrade() -> None:
    """Creates everything."""
    connection: Any = op.get_bind().connection.driver_connection
    for statements in (_TENANTS, _IMAGES, _HISTORY, _QUEUES, _AUDIT):
        # Not through SQLAlchemy: several commands at once are possible only without preparing them.
        connection.execute(statements, prepare=False)


def downgrade() -> None:
    """There is nothing before it."""
    raise NotImplementedError("the first version cannot be undone: drop the database instead")
