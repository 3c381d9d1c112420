-- no image that has ended is in flight
select p.image_id::text from progress p
join outcomes o on o.facility_id = p.facility_id and o.image_id = p.image_id
