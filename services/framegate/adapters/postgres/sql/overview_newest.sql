-- The newest images of every camera, from one index for each.
select
  n.facility_id, n.image_id, n.camera_id, n.received_at, coalesce(o.state, p.state, 'received'),
  coalesce(v.verdict, o.verdict)
from cameras c
cross join lateral (
  select facility_id, image_id, camera_id, received_at from images
  where facility_id = c.facility_id and camera_id = c.id
  order by image_id desc limit %(each)s
) n
left join progress p on p.facility_id = n.facility_id and p.image_id = n.image_id
left join outcomes o on o.facility_id = n.facility_id and o.image_id = n.image_id
left join review_items v on v.facility_id = n.facility_id and v.image_id = n.image_id
where c.facility_id = any (%(facilities)s)
order by n.image_id desc
