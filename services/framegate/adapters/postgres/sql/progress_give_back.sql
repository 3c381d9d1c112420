-- Ends claims without a result.
with moment as materialized (select clock_timestamp() as now)
update progress p
set token = null,
    claimed_by = null,
    claimed_stage = null,
    lease_until = null,
    claim_solo = false,
    attempt = p.attempt - %(refund)s,
    attempts = p.attempts - %(refund)s,
    crashes = p.crashes + %(crash)s,
    solo = p.solo or %(crash)s > 0,
    moved_at = now,
    history = case when %(noted)s
      then noted(p.history, p.claimed_stage, now, p.claimed_by, %(ending)s, %(cause)s) else p.history end
from moment, unnest(%(facilities)s::text[], %(images)s::uuid[], %(tokens)s::uuid[]) as held (facility, image, token)
where p.facility_id = held.facility and p.image_id = held.image and p.token = held.token
