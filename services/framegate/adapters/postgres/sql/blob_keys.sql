-- A page of images in id order, over all facilities; each facility has an index in that order.
select i.image_id, i.blob_key, i.sha256
from facilities f
cross join lateral (
  select image_id, blob_key, sha256 from images
  where facility_id = f.id and image_id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000')
  order by image_id limit %(max)s
) i
order by i.image_id limit %(max)s
