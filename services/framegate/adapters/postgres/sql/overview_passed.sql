-- For each lane, how many images passed each stage in the last minute and lately, and the attempts that did not complete.
-- What passed a stage lately is in flight, or ended lately.
with moved as materialized (
  select lane, received_at, prepared_at, inspected_at, null::timestamptz as decided_at, history from progress
  union all
  select i.lane, o.received_at, o.prepared_at, o.inspected_at, o.decided_at, o.history
  from cameras c
  join outcomes o on o.facility_id = c.facility_id and o.camera_id = c.id
    and o.decided_at >= now() - make_interval(secs => %(lately_s)s)
  join images i on i.facility_id = o.facility_id and i.image_id = o.image_id
),
spans (name, start) as (
  values ('minute', now() - interval '1 minute'), ('lately', now() - make_interval(secs => %(lately_s)s))
)
select
  'passed', lane, name,
  jsonb_build_array(
    count(*) filter (where received_at >= start), count(*) filter (where prepared_at >= start),
    count(*) filter (where inspected_at >= start), count(*) filter (where decided_at >= start)
  )
from moved, spans
group by lane, name
union all
(
  select 'trouble', e.ending, e.stage, jsonb_build_array(left(e.cause, 200), count(*))
  from moved, spans, jsonb_to_recordset(history) as e (stage text, at timestamptz, ending text, cause text)
  where history <> '[]' and name = 'lately' and e.at >= start
  group by e.ending, e.stage, left(e.cause, 200)
  order by count(*) desc, 2, 3 limit %(troubles)s
)
