-- what an image, an outcome or an Idempotency-Key refers to exists in the same facility
select i.image_id::text from images i
where i.duplicate_of is not null
  and not exists (select from images f where f.facility_id = i.facility_id and f.image_id = i.duplicate_of)
union all
select o.image_id::text from outcomes o
where o.reused_from is not null
  and not exists (select from outcomes f where f.facility_id = o.facility_id and f.image_id = o.reused_from)
union all
select k.image_id::text from idempotency_keys k
where not exists (select from images i where i.facility_id = k.facility_id and i.image_id = k.image_id)
union all
select d.image_id::text from detections d
where not exists (select from outcomes o where o.facility_id = d.facility_id and o.image_id = d.image_id)
