-- A page of images in id order, over all facilities; each facility has an index in that order.
select i.image_id, i.blob_key, i.sha256, case when e.image_id is null then true when e.done_at is not null then false end
from facilities f
cross join lateral (
  select facility_id, image_id, blob_key, sha256 from images
  where facility_id = f.id and image_id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000')
  order by image_id limit %(max)s
) i
left join lateral (
  select image_id, done_at from erasures
  where facility_id = i.facility_id and image_id = i.image_id and part = 'original' limit 1
) e on true
order by i.image_id limit %(max)s
