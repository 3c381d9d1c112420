"""People who log in, their roles, invitations and logins."""

from typing import Any

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_PEOPLE = """
create table people (
  name text primary key,
  password_hash text, -- PHC string; null: was never chosen
  created_at timestamptz not null,
  disabled_at timestamptz
);

create table person_roles (
  person text not null references people (name),
  facility_id text not null references facilities (id),
  role text not null check (role in ('viewer', 'reviewer', 'operator', 'admin')),
  primary key (person, facility_id)
);

create table invitations (
  person text primary key references people (name),
  token_hash bytea not null unique,
  expires_at timestamptz not null
);

create table logins (
  login_id uuid primary key,
  token_hash bytea not null unique,
  person text not null references people (name),
  opened_at timestamptz not null,
  seen_at timestamptz not null,
  expires_at timestamptz not null,
  address text not null,
  agent text not null
);
create index logins_of_person on logins (person, opened_at);
"""


def upgrade() -> None:
    """Nobody is there at first."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_PEOPLE, prepare=False)


def downgrade() -> None:
    """Names in the audit would mean nobody any more."""
    raise NotImplementedError("people cannot be removed: restore a backup instead")
