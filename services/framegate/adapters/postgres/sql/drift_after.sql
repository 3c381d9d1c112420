-- Ended images of all facilities that the watch of drift has not taken in, up to what the watch of the cameras has judged: all
-- of those are settled. With a facility, only its own; with a camera or a model, only those of it.
select o.sequence, o.facility_id, i.camera_id, i.image_id, i.lane, i.received_at, o.prepared,
  coalesce(o.verdict, o.state) as ended_as, o.model,
  (
    select json_agg(json_build_array(d.class, d.confidence, d.x1, d.y1, d.x2, d.y2) order by d.ordinal)
    from detections d where d.facility_id = o.facility_id and d.image_id = o.image_id and d.ordinal <= 100
  ) as boxes,
  array(select jsonb_object_keys(i.metadata)) as names,
  coalesce(h.faults <> '{}', false) as faulty
from facilities f
cross join lateral (
  select sequence, facility_id, image_id, prepared, verdict, state, model from outcomes
  where facility_id = f.id and sequence > %(sequence)s and sequence <= %(upto)s
    and (%(camera)s::text is null or camera_id = %(camera)s) and (%(model)s::text is null or model = %(model)s)
  order by sequence limit %(max)s
) o
join images i on i.facility_id = o.facility_id and i.image_id = o.image_id
left join camera_health h on h.facility_id = i.facility_id and h.camera_id = i.camera_id
where f.id = coalesce(%(facility)s::text, f.id)
order by o.sequence limit %(max)s
