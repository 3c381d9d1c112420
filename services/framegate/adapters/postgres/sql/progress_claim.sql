-- Claims images for a stage: those in its state and look that nobody holds, or whose holder's lease ran out.
--
-- Rows are locked in the order of their ids, so that two claims never wait for each other; a lock waits for whoever has
-- it and then sees the row as it has become. Taking over a dead claim leaves a note and asks for a run alone; if the
-- dead one was a run alone in inference, it counts as a crash.
with moment as materialized (select clock_timestamp() as now),
asked as materialized (
  select * from json_to_recordset(%(messages)s::json) as m (facility text, image uuid, look integer)
),
locked as materialized (
  select p.facility_id, p.image_id
  from asked a join progress p on p.facility_id = a.facility and p.image_id = a.image
  where p.look = a.look and p.state = %(state)s and (p.token is null or p.lease_until <= (select now from moment))
  order by p.facility_id, p.image_id
  for update of p
)
update progress p
set token = gen_random_uuid(),
    claimed_by = %(owner)s,
    claimed_stage = %(stage)s,
    lease_until = now + make_interval(secs => %(lease)s),
    claim_solo = p.solo or p.token is not null,
    solo = p.solo or p.token is not null,
    crashes = p.crashes + (p.token is not null and p.claim_solo and p.claimed_stage = 'inference')::integer,
    attempt = p.attempt + 1,
    attempts = p.attempts + 1,
    moved_at = now,
    history = case when p.token is null then p.history else noted(
      p.history, p.claimed_stage, now, p.claimed_by,
      case when p.claim_solo and p.claimed_stage = 'inference' then 'crash' else 'expired' end,
      'the worker''s lease ran out'
    ) end,
    preprocess_claimed_at = case when %(stage)s = 'preprocess' then now else p.preprocess_claimed_at end,
    inference_claimed_at = case when %(stage)s = 'inference' then now else p.inference_claimed_at end,
    gate_claimed_at = case when %(stage)s = 'gate' then now else p.gate_claimed_at end
from moment, locked l
join images i on i.facility_id = l.facility_id and i.image_id = l.image_id
where p.facility_id = l.facility_id and p.image_id = l.image_id
returning
  p.facility_id, p.image_id, i.camera_id, i.camera_status, i.lane, i.blob_key, i.media_type, i.sha256, i.size_bytes,
  i.width, i.height, i.orientation, i.received_at, i.metadata,
  p.token, p.attempt, p.crashes, p.solo, p.prepared, p.finding, p.detections, now, p.prepared_at, p.inspected_at,
  case when %(stage)s = 'gate' then (
    select h.faults from camera_health h where h.facility_id = i.facility_id and h.camera_id = i.camera_id
  ) end,
  p.first_look
