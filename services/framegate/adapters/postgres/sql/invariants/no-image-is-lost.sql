-- every accepted image is in flight or has ended
select i.image_id::text from images i
where not exists (select from progress p where p.facility_id = i.facility_id and p.image_id = i.image_id)
  and not exists (select from outcomes o where o.facility_id = i.facility_id and o.image_id = i.image_id)
