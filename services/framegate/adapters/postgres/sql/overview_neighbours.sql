-- Light rows of what stands around an image: (place, facility, image, camera, received, state, effective verdict).
with here as materialized (
  select facility_id, image_id, camera_id, metadata from images
  where facility_id = any (%(facilities)s) and image_id = %(image)s
),
found as (
  (
    select 'here' as place, facility_id, image_id from here
  ) union all (
    select 'older', i.facility_id, i.image_id from here h
    join images i on i.facility_id = h.facility_id and i.camera_id = h.camera_id and i.image_id < h.image_id
    order by i.image_id desc limit %(each)s
  ) union all (
    select 'newer', i.facility_id, i.image_id from here h
    join images i on i.facility_id = h.facility_id and i.camera_id = h.camera_id and i.image_id > h.image_id
    order by i.image_id limit %(each)s
  ) union all (
    -- The second condition is what the index asks for.
    select 'together', i.facility_id, i.image_id from here h
    join images i on i.metadata @> jsonb_build_object(%(name)s::text, h.metadata->%(name)s) and i.metadata <> '{}'
      and i.facility_id = h.facility_id and i.image_id <> h.image_id
    where h.metadata ? %(name)s
    order by i.image_id desc limit %(together)s
  )
)
select
  f.place, i.facility_id, i.image_id, i.camera_id, i.received_at, coalesce(o.state, p.state, 'received'),
  coalesce(v.verdict, o.verdict)
from found f
join images i on i.facility_id = f.facility_id and i.image_id = f.image_id
left join progress p on p.facility_id = i.facility_id and p.image_id = i.image_id
left join outcomes o on o.facility_id = i.facility_id and o.image_id = i.image_id
left join review_items v on v.facility_id = i.facility_id and v.image_id = i.image_id
order by i.image_id desc
