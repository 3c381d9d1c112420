-- Completes claims whose image ends: outcome, detections, review item, audit and alerts appear, and the progress row goes, together.
--
-- The rows are locked before the outcome takes its sequence number, so the transaction has its id by then: readers of
-- `outcomes_after` rely on that order.
with moment as materialized (select clock_timestamp() as now),
asked as materialized (
  select * from json_to_recordset(%(completions)s::json) as c (
    n integer, facility text, image uuid, token uuid, work_ms real,
    state text, verdict text, reason text, detail text, policy_version integer, alerts json,
    classes text[], confidence real[], x1 real[], y1 real[], x2 real[], y2 real[], leads boolean[], looks json, found json,
    item text, weight real
  )
),
locked as materialized (
  select a.*
  from asked a join progress p on p.facility_id = a.facility and p.image_id = a.image and p.token = a.token
  order by p.facility_id, p.image_id
  for update of p
),
ended as materialized (
  delete from progress p using locked l
  where p.facility_id = l.facility and p.image_id = l.image
  returning
    l.n, l.facility, l.image, l.token, l.work_ms, l.state as ends, l.verdict, l.reason, l.detail, l.policy_version,
    l.alerts, l.classes, l.confidence, l.x1, l.y1, l.x2, l.y2, l.leads, l.looks, l.item, l.weight,
    case when l.found is null then p.prepared else coalesce(p.first_look->'prepared', p.prepared) end as prepared,
    coalesce(l.found, p.finding) as finding, p.finding_crashes, p.look, p.attempts, p.history, p.done_tokens, p.received_at,
    p.preprocess_claimed_at, p.prepared_at, p.inference_claimed_at, p.inspected_at, p.gate_claimed_at,
    p.preprocess_ms, p.inference_ms
),
written as (
  insert into outcomes (
    facility_id, image_id, state, verdict, reason, detail, policy_version, model, model_sha256, engine, prepared, look,
    attempts, crashes, history, completed_by, received_at, preprocess_claimed_at, prepared_at, inference_claimed_at,
    inspected_at, gate_claimed_at, decided_at, preprocess_ms, inference_ms, gate_ms, labels, alerts,
    looks, camera_id
  )
  select
    facility, image, ends, verdict, reason, detail, policy_version, finding->>'model', finding->>'model_sha256',
    finding->>'engine', prepared::jsonb, look, attempts, finding_crashes, history, done_tokens || token, received_at,
    preprocess_claimed_at, prepared_at, inference_claimed_at, inspected_at, gate_claimed_at, now,
    preprocess_ms, inference_ms, work_ms, (finding->'labels')::jsonb,
    json_array_length(alerts), looks::jsonb,
    (select i.camera_id from images i where i.facility_id = facility and i.image_id = image)
  from ended, moment
  order by n
  on conflict do nothing
),
seen as (
  insert into detections (facility_id, image_id, ordinal, class, confidence, x1, y1, x2, y2, leads)
  select e.facility, e.image, d.ordinal, d.class, d.confidence, d.x1, d.y1, d.x2, d.y2, d.leads
  from ended e
  cross join lateral unnest(e.classes, e.confidence, e.x1, e.y1, e.x2, e.y2, e.leads)
    with ordinality as d (class, confidence, x1, y1, x2, y2, leads, ordinal)
),
asked_of_people as (
  insert into review_items (facility_id, image_id, camera_id, sha256, origin, automatic, model, weight, opened_at)
  select e.facility, e.image, i.camera_id, i.sha256, e.item, e.verdict, e.finding->>'model', e.weight, now
  from moment, ended e join images i on i.facility_id = e.facility and i.image_id = e.image
  where e.item is not null
  on conflict do nothing
),
audited as (
  insert into audit (facility_id, actor, action, object, body, at)
  select facility, 'framegate', 'image.ended', image::text,
    jsonb_build_object('state', ends, 'verdict', verdict, 'reason', reason), now
  from ended, moment
  order by n
),
raised as (
  insert into alert_outbox (
    facility_id, image_id, rule, severity, subject, summary, window_s, escalate_after_s, payload, created_at
  )
  select e.facility, e.image, a.rule, a.severity, a.subject, a.summary, a.window_s, a.escalate_after_s,
    jsonb_build_object('state', e.ends, 'verdict', e.verdict, 'reason', e.reason, 'detail', e.detail), now
  from moment, ended e
  cross join lateral json_to_recordset(e.alerts)
    as a (rule text, severity text, subject text, summary text, window_s real, escalate_after_s real)
  on conflict do nothing
)
select n, null from ended
