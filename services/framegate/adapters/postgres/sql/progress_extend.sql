-- Renews leases, and says which of the claims still hold. Forgotten in a crash, a renewal only lets a lease end early.
with relaxed as materialized (select set_config('synchronous_commit', 'off', true)),
moment as materialized (select clock_timestamp() as now from relaxed)
update progress p
set lease_until = now + make_interval(secs => %(lease)s)
from moment, unnest(%(facilities)s::text[], %(images)s::uuid[], %(tokens)s::uuid[]) as held (facility, image, token)
where p.facility_id = held.facility and p.image_id = held.image and p.token = held.token
returning p.token
