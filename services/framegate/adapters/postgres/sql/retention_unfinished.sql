-- Images whose picture was erased and whose files may still be there, with what tells the keys of those.
select
  e.facility_id, e.image_id, i.blob_key, u.media_type, u.created_at, o.prepared->>'blob_key' as prepared
from erasures e
join images i on i.facility_id = e.facility_id and i.image_id = e.image_id
left join uploads u on u.facility_id = e.facility_id and u.upload_id = e.image_id
left join outcomes o on o.facility_id = e.facility_id and o.image_id = e.image_id
where e.done_at is null
order by e.at limit %(max)s
