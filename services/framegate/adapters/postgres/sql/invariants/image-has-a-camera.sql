-- every image belongs to a camera of its facility
select i.image_id::text from images i
where not exists (select from cameras c where c.facility_id = i.facility_id and c.id = i.camera_id)
