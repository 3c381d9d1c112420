"""What waits for people, and what they decided."""

from typing import Any

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_REVIEWS = """
-- One for each image that people are asked about. `risk` = weight x age, see kernel.reviews.
create table review_items (
  facility_id text not null,
  image_id uuid not null,
  camera_id text not null,
  sha256 text not null, -- of the original: what a decision must have been made on
  origin text not null check (origin in ('verdict', 'sample', 'duplicate')),
  automatic text not null check (automatic in ('pass', 'fail', 'review')),
  model text,
  weight real not null,
  opened_at timestamptz not null,
  version integer not null default 1,
  state text not null default 'open' check (state in ('open', 'decided')),
  leased_by text,
  leased_until timestamptz,
  skipped_by text[] not null default '{}',
  review_id uuid, -- the decision that closed it
  choice text check (choice in ('pass', 'fail', 'cannot-tell')),
  class text, -- of the damage, of a fail
  verdict text check (verdict in ('pass', 'fail')), -- of the last review that stands
  settle_at timestamptz, -- when what follows from the decision is done; null: nothing is to be done, or it was
  primary key (facility_id, image_id),
  foreign key (facility_id, image_id) references outcomes (facility_id, image_id) not enforced,
  check ((state = 'decided') = (review_id is not null)),
  check ((leased_by is null) = (leased_until is null))
) with (fillfactor = 70);
create index review_items_open on review_items (facility_id, opened_at) where state = 'open';
create index review_items_due on review_items (settle_at) where settle_at is not null;
create index review_items_overturned on review_items (facility_id, sha256) where verdict <> automatic;
create index review_items_sampled on review_items (facility_id) where origin = 'sample';

create table reviews (
  review_id uuid primary key,
  sequence bigint generated always as identity,
  facility_id text not null,
  image_id uuid not null,
  choice text not null check (choice in ('pass', 'fail', 'cannot-tell', 'skip', 'undo')),
  class text not null,
  boxes jsonb not null, -- [[class, [x1, y1, x2, y2]], ...] in pixels of the upright original
  note text not null,
  reviewer text not null,
  at timestamptz not null,
  version integer not null, -- of the item that was decided
  shown_sha256 text not null,
  undoes uuid references reviews (review_id),
  undo_until timestamptz,
  foreign key (facility_id, image_id) references review_items (facility_id, image_id)
);
create index reviews_of on reviews (facility_id, image_id, sequence);
create index reviews_newest on reviews (facility_id, at);
create unique index reviews_are_undone_once on reviews (undoes) where undoes is not null;

create trigger reviews_are_append_only before update or delete on reviews
  for each row execute function refuse_change();
create trigger reviews_are_not_emptied before truncate on reviews
  for each statement execute function refuse_change();
"""


def upgrade() -> None:
    """The desk begins with what comes now."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(_REVIEWS, prepare=False)


def downgrade() -> None:
    """What people decided is not thrown away."""
    raise NotImplementedError("decisions of people cannot be removed: restore a backup instead")
