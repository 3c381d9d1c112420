-- Images in flight by lane and state: how many are claimed, how many wait, and how long the first one has been there.
select
  lane, state,
  count(*) filter (where lease_until > clock_timestamp()),
  count(*) filter (where lease_until is null or lease_until <= clock_timestamp()),
  extract(epoch from clock_timestamp() - min(moved_at))::float8
from progress group by lane, state
