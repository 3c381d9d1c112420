-- The measures of the newest ended images of a camera.
select q.image_id, q.received_at, q.quality, q.verdict
from unnest(%(facilities)s::text[]) as wanted (facility)
cross join lateral (
  select i.image_id, i.received_at, o.prepared->'quality' as quality, coalesce(v.verdict, o.verdict) as verdict
  from images i
  join outcomes o on o.facility_id = wanted.facility and o.image_id = i.image_id
  left join review_items v on v.facility_id = wanted.facility and v.image_id = i.image_id
  where i.facility_id = wanted.facility and i.camera_id = %(camera)s and o.prepared is not null
  order by i.image_id desc limit %(max)s
) q
order by q.image_id desc limit %(max)s
