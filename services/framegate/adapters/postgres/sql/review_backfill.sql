-- Asks people about images that ended as `review` before the desk was there, or by a gate of an older release.
insert into review_items (facility_id, image_id, camera_id, sha256, origin, automatic, model, weight, opened_at)
select i.facility_id, i.image_id, i.camera_id, i.sha256, 'verdict', 'review', o.model, %(weight)s, clock_timestamp()
from outcomes o join images i on i.facility_id = o.facility_id and i.image_id = o.image_id
where o.facility_id = %(facility)s and o.verdict = 'review'
  and not exists (select from review_items r where r.facility_id = o.facility_id and r.image_id = o.image_id)
  and not exists (
    select from erasures e where e.facility_id = o.facility_id and e.image_id = o.image_id and e.part = 'original'
  )
order by o.image_id
limit %(max)s
on conflict do nothing
returning image_id
