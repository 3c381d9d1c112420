-- The named items, by falling risk, those that this person skipped last.
select
  r.facility_id, r.image_id, r.camera_id, r.sha256, r.origin, r.automatic, r.opened_at, r.version, r.state, r.verdict,
  r.leased_by, r.leased_until, i.width, i.height, i.orientation,
  (
    select json_agg(json_build_array(d.class, d.confidence, json_build_array(d.x1, d.y1, d.x2, d.y2)) order by d.ordinal)
    from detections d where d.facility_id = r.facility_id and d.image_id = r.image_id
  ) as detections
from unnest(%(facilities)s::text[], %(images)s::uuid[]) as wanted (facility, image)
join review_items r on r.facility_id = wanted.facility and r.image_id = wanted.image
join images i on i.facility_id = r.facility_id and i.image_id = r.image_id
order by %(actor)s::text = any (r.skipped_by),
  r.weight * (%(head_start)s + extract(epoch from clock_timestamp() - r.opened_at)) desc, r.image_id
