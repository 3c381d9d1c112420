"""Seals over the audit, and the entries of one thing by an index."""

from typing import Any

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_SEALS = """
-- See framegate.kernel.audit. A range begins where the one before it ends; the numbers in `missing` were rolled back.
create table audit_seals (
  number bigint primary key,
  first_sequence bigint not null,
  last_sequence bigint not null unique,
  missing jsonb not null, -- [[first, last], ...]
  leaves bytea not null, -- 32 bytes for each entry
  root bytea not null,
  previous bytea not null,
  sealed_at timestamptz not null,
  hash bytea not null
);
create trigger audit_seals_are_append_only before update or delete on audit_seals
  for each row execute function refuse_change();
create trigger audit_seals_are_not_emptied before truncate on audit_seals
  for each statement execute function refuse_change();

-- A statement's trigger fires before its rows take their numbers. Who has a number has a transaction id then, and whoever
-- seals can tell by the ids whether all lower numbers are committed or never will be.
create function take_transaction_id() returns trigger language plpgsql as $$
begin
  perform pg_current_xact_id();
  return null;
end $$;
create trigger audit_has_its_transaction before insert on audit
  for each statement execute function take_transaction_id();

create index audit_of_object on audit (object, sequence);
"""


def upgrade() -> None:
    """What is in the audit already is sealed by the sweeper's first rounds."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_SEALS, prepare=False)


def downgrade() -> None:
    """Seals are proofs, and are not thrown away."""
    raise NotImplementedError("seals of the audit cannot be removed: restore a backup instead")
