-- Ended images after a sequence number, of several facilities, in order; up to a number below which all is settled.
select o.sequence, o.facility_id, o.image_id
from unnest(%(facilities)s::text[]) as wanted (facility)
cross join lateral (
  select sequence, facility_id, image_id from outcomes
  where facility_id = wanted.facility and sequence > %(sequence)s
    and sequence <= %(settled)s
  order by sequence limit %(max)s
) o
order by o.sequence limit %(max)s
