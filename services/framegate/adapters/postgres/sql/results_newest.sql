-- The newest ended image of several facilities, by the same rule as `results_after`.
select o.sequence, o.facility_id, o.image_id
from unnest(%(facilities)s::text[]) as wanted (facility)
cross join lateral (
  select sequence, facility_id, image_id from outcomes
  where facility_id = wanted.facility and sequence <= %(settled)s
  order by sequence desc limit 1
) o
order by o.sequence desc limit 1
