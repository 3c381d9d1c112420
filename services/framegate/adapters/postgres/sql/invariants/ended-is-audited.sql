-- every outcome has its audit entry
select o.image_id::text from outcomes o
where not exists (
  select from audit a
  where a.action = 'image.ended' and a.object = o.image_id::text and a.facility_id = o.facility_id
)
