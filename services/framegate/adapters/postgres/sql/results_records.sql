-- Everything about the named images, in the order in which they are named.
select
  i.facility_id, i.image_id, i.camera_id, i.camera_status, i.lane, i.blob_key, i.media_type, i.sha256, i.size_bytes,
  i.width, i.height, i.orientation, i.received_at, i.metadata,
  i.captured_at, i.duplicate_of,
  coalesce(o.state, p.state, 'received') as state, coalesce(o.look, p.look, 1) as look,
  o.verdict, o.reason, o.detail, o.policy_version, o.reused_from, o.decided_at,
  coalesce(o.model, p.finding->>'model') as model,
  coalesce(o.model_sha256, p.finding->>'model_sha256') as model_sha256,
  coalesce(o.engine, p.finding->>'engine') as engine,
  coalesce(o.prepared, p.prepared::jsonb) as prepared,
  coalesce(o.attempts, p.attempts, 0) as attempts, coalesce(o.history, p.history, '[]') as history,
  coalesce(o.preprocess_claimed_at, p.preprocess_claimed_at) as preprocess_claimed_at,
  coalesce(o.prepared_at, p.prepared_at) as prepared_at,
  coalesce(o.inference_claimed_at, p.inference_claimed_at) as inference_claimed_at,
  coalesce(o.inspected_at, p.inspected_at) as inspected_at,
  coalesce(o.gate_claimed_at, p.gate_claimed_at) as gate_claimed_at,
  coalesce(o.preprocess_ms, p.preprocess_ms) as preprocess_ms,
  coalesce(o.inference_ms, p.inference_ms) as inference_ms,
  o.gate_ms,
  (
    select json_agg(json_build_array(d.class, d.confidence, d.x1, d.y1, d.x2, d.y2) order by d.ordinal)
    from detections d where d.facility_id = i.facility_id and d.image_id = i.image_id
  ) as detections,
  o.labels, o.looks,
  (select v.verdict from review_items v where v.facility_id = i.facility_id and v.image_id = i.image_id) as human,
  (
    select json_agg(json_build_array(
      v.review_id, v.choice, v.class, v.boxes, v.note, v.reviewer, v.at, v.version, v.shown_sha256, v.undoes, v.undo_until
    ) order by v.sequence)
    from reviews v where v.facility_id = i.facility_id and v.image_id = i.image_id
  ) as reviews,
  (
    select json_agg(json_build_array(e.part, e.at, e.actor, e.reason) order by e.part desc)
    from erasures e where e.facility_id = i.facility_id and e.image_id = i.image_id
  ) as erasures,
  i.trace
from unnest(%(facilities)s::text[], %(images)s::uuid[]) with ordinality as wanted (facility, image, n)
join images i on i.facility_id = wanted.facility and i.image_id = wanted.image
left join progress p on p.facility_id = i.facility_id and p.image_id = i.image_id
left join outcomes o on o.facility_id = i.facility_id and o.image_id = i.image_id
order by wanted.n
