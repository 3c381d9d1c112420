-- Every camera: its newest image, and what became of the images that ended lately. `ended` is read from one index.
with ended as materialized (
  select
    o.facility_id,
    -- Outcomes of an older release do not know their camera.
    coalesce(o.camera_id, (
      select i.camera_id from images i where i.facility_id = o.facility_id and i.image_id = o.image_id
    )) as camera_id,
    coalesce(o.verdict, o.state) as became,
    extract(epoch from o.decided_at - o.received_at)::real * 1000 as ms
  from unnest(%(facilities)s::text[]) as wanted (facility)
  join outcomes o on o.facility_id = wanted.facility and o.decided_at >= now() - make_interval(secs => %(since_s)s)
),
counted as (
  select facility_id, camera_id, jsonb_object_agg(became, n) as counts
  from (select facility_id, camera_id, became, count(*) as n from ended group by 1, 2, 3) each
  group by 1, 2
),
timed as (
  select facility_id, camera_id, percentile_disc(0.5) within group (order by ms) as median_ms
  from ended where became in ('pass', 'fail', 'review')
  group by 1, 2
)
select
  c.facility_id, c.id, n.dock, counted.counts, timed.median_ms,
  n.image_id, n.received_at, coalesce(o.state, p.state, 'received'), coalesce(v.verdict, o.verdict)
from cameras c
left join lateral (
  select image_id, received_at, metadata->>'dock' as dock from images
  where facility_id = c.facility_id and camera_id = c.id
  order by image_id desc limit 1
) n on true
left join progress p on p.facility_id = c.facility_id and p.image_id = n.image_id
left join outcomes o on o.facility_id = c.facility_id and o.image_id = n.image_id
left join review_items v on v.facility_id = c.facility_id and v.image_id = n.image_id
left join counted on counted.facility_id = c.facility_id and counted.camera_id = c.id
left join timed on timed.facility_id = c.facility_id and timed.camera_id = c.id
where c.facility_id = any (%(facilities)s)
order by c.facility_id, c.id
