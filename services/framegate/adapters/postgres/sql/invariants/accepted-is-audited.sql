-- every accepted image has its audit entry
select i.image_id::text from images i
where not exists (
  select from audit a
  where a.action = 'image.accepted' and a.object = i.image_id::text and a.facility_id = i.facility_id
)
