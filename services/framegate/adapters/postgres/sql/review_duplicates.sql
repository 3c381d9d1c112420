-- Asks people about images that copied another verdict of the same bytes and camera than people give now, so many at once.
insert into review_items (facility_id, image_id, camera_id, sha256, origin, automatic, model, weight, opened_at)
select i.facility_id, i.image_id, i.camera_id, i.sha256, 'duplicate', o.verdict, o.model, %(weight)s, clock_timestamp()
from images i join outcomes o on o.facility_id = i.facility_id and o.image_id = i.image_id
where i.facility_id = %(facility)s and i.sha256 = %(sha256)s and i.camera_id = %(camera)s
  and o.reused_from is not null and o.verdict <> %(said)s
  and not exists (select from review_items r where r.facility_id = i.facility_id and r.image_id = i.image_id)
  and not exists (
    select from erasures e where e.facility_id = i.facility_id and e.image_id = i.image_id and e.part = 'original'
  )
order by i.image_id
limit %(max)s
on conflict do nothing
returning image_id::text
