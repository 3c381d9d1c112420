"""Registered models, deployments, and what shadows found.

A model belongs to the installation and not to a facility; what a shadow found in an image belongs to the image's.
"""

from typing import Any

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_MODELS = """
-- What serves is what the active deployment says.
drop table serving_models;

create table models (
  ref text primary key,
  name text not null,
  version text not null,
  sha256 text not null,
  size_bytes bigint not null,
  blob_key text not null,
  manifest text not null,
  registered_as text not null, -- sha256 of the manifest as it came, before any check amended it
  state text not null check (state in ('registered', 'validated', 'approved', 'deployed', 'retired')),
  registered_at timestamptz not null default clock_timestamp(),
  registered_by text not null,
  check (ref = name || '@' || version)
);

create table deployments (
  number bigint generated always as identity primary key,
  incumbent text not null references models (ref),
  canary text references models (ref),
  canary_share double precision not null,
  shadow text references models (ref),
  state text not null check (state in ('pending', 'active', 'failed', 'ended')),
  detail text not null,
  actor text not null,
  since timestamptz not null default clock_timestamp(),
  activated_at timestamptz
);
create unique index one_deployment_is_active on deployments (state) where state = 'active';
create unique index one_deployment_is_pending on deployments (state) where state = 'pending';

create table deployment_loads (
  number bigint not null references deployments (number),
  worker text not null,
  problem text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (number, worker)
);

create table shadow_results (
  facility_id text not null,
  image_id uuid not null,
  model text not null,
  model_sha256 text not null,
  engine text not null,
  classes text[] not null,
  detections bytea not null,
  at timestamptz not null default clock_timestamp(),
  primary key (facility_id, image_id, model_sha256),
  foreign key (facility_id, image_id) references images (facility_id, image_id)
);
create index shadow_results_by_model on shadow_results (model_sha256);

create index audit_of_models on audit (object, sequence) where action like 'model.%';
create index outcomes_by_end on outcomes using brin (decided_at);
"""


def upgrade() -> None:
    """Creates everything."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_MODELS, prepare=False)


def downgrade() -> None:
    """What served before was recorded elsewhere, and is gone."""
    raise NotImplementedError("the registry of models cannot be undone: restore a backup instead")
