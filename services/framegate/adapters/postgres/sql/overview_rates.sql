-- Every camera: its newest image, and what became of its images that ended lately, from one index.
select
  c.facility_id, c.id, n.dock, e.*,
  n.image_id, n.received_at, coalesce(o.state, p.state, 'received'), coalesce(v.verdict, o.verdict)
from cameras c
cross join lateral (
  select
    count(*) filter (where verdict = 'pass'), count(*) filter (where verdict = 'fail'),
    count(*) filter (where verdict = 'review'), count(*) filter (where state = 'rejected'),
    count(*) filter (where state = 'failed'),
    percentile_disc(0.5) within group (order by date_part('epoch', decided_at - received_at) * 1000)
      filter (where verdict is not null)
  from outcomes
  where facility_id = c.facility_id and camera_id = c.id and decided_at >= now() - make_interval(secs => %(since_s)s)
) e
left join lateral (
  select image_id, received_at, metadata->>'dock' as dock from images
  where facility_id = c.facility_id and camera_id = c.id
  order by image_id desc limit 1
) n on true
left join progress p on p.facility_id = c.facility_id and p.image_id = n.image_id
left join outcomes o on o.facility_id = c.facility_id and o.image_id = n.image_id
left join review_items v on v.facility_id = c.facility_id and v.image_id = n.image_id
where c.facility_id = any (%(facilities)s)
order by c.facility_id, c.id
