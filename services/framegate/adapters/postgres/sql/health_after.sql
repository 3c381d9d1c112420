-- Ended live images of all facilities that the watcher of cameras has not judged; by the rule of `results_after`.
select o.sequence, o.facility_id, i.camera_id, i.lane, i.received_at, o.prepared
from facilities f
cross join lateral (
  select sequence, facility_id, image_id, prepared from outcomes
  where facility_id = f.id and sequence > %(sequence)s
    and sequence <= %(settled)s
  order by sequence limit %(max)s
) o
join images i on i.facility_id = o.facility_id and i.image_id = o.image_id
order by o.sequence limit %(max)s
