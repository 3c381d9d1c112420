-- Records uploads: images with their progress and messages, idempotency keys, cameras seen for the first time, audit.
--
-- Each asked image is judged against what is committed: known by its Idempotency-Key, its capture or its id (nothing is
-- recorded then), or fresh. A fresh one whose bytes are known may reuse a decided outcome of the same camera (one of the
-- 50 newest with these bytes is looked at) under the model that serves and the policy that holds. Two transactions that
-- record the same thing at once collide in a unique index; the loser starts over and finds the winner's rows.
with moment as materialized (select clock_timestamp() as now),
judged as materialized (
  select
    a.*, known.image_id as known, coalesce(known.request_hash = a.request_hash, true) as same,
    twin.image_id as duplicate_of, camera.status as camera_status
  from json_to_recordset(%(images)s::json) as a (
    n integer, facility text, image uuid, camera text, lane text, blob_key text, media_type text, sha256 text,
    size_bytes bigint, width integer, height integer, orientation smallint, flags text[], captured_at timestamptz,
    metadata jsonb, key_id text, idempotency_key text, request_hash text, trace text, queue text, body text
  )
  left join lateral (
    (
      select 1 as rank, image_id, request_hash from idempotency_keys
      where facility_id = a.facility and key_id = a.key_id and idempotency_key = a.idempotency_key
    ) union all (
      select 2, image_id, null from images
      where facility_id = a.facility and camera_id = a.camera and captured_at = a.captured_at and sha256 = a.sha256
        and a.idempotency_key is null
      order by image_id limit 1
    ) union all (
      select 3, image_id, null from images where facility_id = a.facility and image_id = a.image
    )
    order by rank limit 1
  ) known on true
  left join lateral (
    select image_id from images where facility_id = a.facility and sha256 = a.sha256 order by image_id limit 1
  ) twin on true
  left join lateral (
    select status from cameras where facility_id = a.facility and id = a.camera
  ) camera on true
),
fresh as materialized (
  select *, coalesce(camera_status, 'unconfirmed') as seen_as from judged where known is null
),
reusable as materialized (
  select f.n, f.facility, f.image, f.camera, source.*
  from fresh f
  cross join lateral (
    select sha256 from models join deployments on incumbent = ref where deployments.state = 'active'
  ) serving
  cross join lateral (
    select version from policies where facility_id = f.facility order by version desc limit 1
  ) policy
  cross join lateral (
    select o.*
    from (
      select image_id, camera_id, camera_status from images
      where facility_id = f.facility and sha256 = f.sha256 order by image_id desc limit 50
    ) twins
    join outcomes o on o.facility_id = f.facility and o.image_id = twins.image_id
    where twins.camera_id = f.camera and twins.camera_status = f.seen_as
      and o.state = 'decided' and o.model_sha256 = serving.sha256 and o.policy_version = policy.version
      and o.reason not in ('chain-unavailable', 'second-look-failed') -- what was missing may be there now
      and o.reason <> 'camera-fault' -- so may the camera
    order by twins.image_id desc limit 1
  ) source
  where f.duplicate_of is not null and not exists (
    -- A frozen camera would pass for ever by what was decided before.
    select from camera_health h where h.facility_id = f.facility and h.camera_id = f.camera and h.faults <> '{}'
  ) and not exists (
    -- People decided otherwise about these bytes.
    select from review_items v where v.facility_id = f.facility and v.sha256 = f.sha256 and v.verdict <> v.automatic
  )
),
unseen as materialized (
  select distinct on (facility, camera) facility, camera, key_id from fresh where camera_status is null
  order by facility, camera
),
new_facilities as (
  insert into facilities (id, name, created_at) select distinct facility, facility, now from unseen, moment
  on conflict do nothing
),
new_cameras as (
  insert into cameras (facility_id, id, status, created_at) select facility, camera, 'unconfirmed', now
  from unseen, moment
  on conflict do nothing
  returning facility_id, id
),
recorded as (
  insert into images (
    facility_id, image_id, camera_id, camera_status, lane, blob_key, media_type, sha256, size_bytes, width, height,
    orientation, flags, captured_at, metadata, key_id, keyed_as, duplicate_of, received_at, trace
  )
  select
    facility, image, camera, seen_as, lane, blob_key, media_type, sha256, size_bytes, width, height,
    orientation, flags, captured_at, metadata, key_id, case when idempotency_key is not null then image end,
    duplicate_of, now, trace
  from fresh, moment
  order by n
  returning facility_id, image_id
),
remembered as (
  insert into idempotency_keys (facility_id, key_id, idempotency_key, request_hash, image_id, created_at)
  select facility, key_id, idempotency_key, request_hash, image, now from fresh, moment
  where idempotency_key is not null
  order by facility, key_id, idempotency_key
),
waiting as materialized (select * from fresh where n not in (select n from reusable)),
begun as (
  insert into progress (facility_id, image_id, lane, state, moved_at, issued_at, received_at)
  select facility, image, lane, 'received', now, now, now from waiting, moment
),
sent as (
  insert into {outgoing} (queue, body, enqueued_at, visible_at) select queue, body, now, now from waiting, moment
  order by n
  returning id, body
),
-- Through `recorded`, so that the transaction has its id before the outcome takes its sequence number.
ended as (
  insert into outcomes (
    facility_id, image_id, state, verdict, reason, detail, policy_version, model, model_sha256, engine, prepared, look,
    attempts, crashes, history, reused_from, completed_by, received_at, decided_at, labels, looks, camera_id
  )
  select
    r.facility, r.image, r.state, r.verdict, r.reason, r.detail, r.policy_version, r.model, r.model_sha256, r.engine,
    r.prepared, 1, 0, 0, '[]', r.image_id, '{}', now, now, r.labels, r.looks, r.camera
  from moment, recorded
  join reusable r on r.facility = recorded.facility_id and r.image = recorded.image_id
),
copied as (
  insert into detections (facility_id, image_id, ordinal, class, confidence, x1, y1, x2, y2, leads)
  select r.facility, r.image, d.ordinal, d.class, d.confidence, d.x1, d.y1, d.x2, d.y2, d.leads
  from reusable r join detections d on d.facility_id = r.facility and d.image_id = r.image_id
),
asked_of_people as (
  insert into review_items (facility_id, image_id, camera_id, sha256, origin, automatic, model, weight, opened_at)
  select f.facility, f.image, f.camera, f.sha256, 'verdict', r.verdict, r.model, coalesce(v.weight, 0.5), now
  from moment, reusable r
  join fresh f on f.n = r.n
  left join review_items v on v.facility_id = r.facility and v.image_id = r.image_id
  where r.verdict = 'review'
),
audited as (
  insert into audit (facility_id, actor, action, object, body, at)
  select facility, actor, action, object, body, now
  from moment, (
    select 0 as n, 1 as step, u.facility, 'key:' || u.key_id as actor, 'camera.seen' as action, u.camera as object,
      '{}'::jsonb as body
    from new_cameras c join unseen u on u.facility = c.facility_id and u.camera = c.id
    union all
    select n, 2, facility, 'key:' || key_id, 'image.accepted', image::text,
      jsonb_build_object('camera', camera, 'sha256', sha256)
    from fresh
    union all
    select n, 3, facility, 'framegate', 'image.ended', image::text,
      jsonb_build_object('state', state, 'verdict', verdict, 'reason', reason, 'reused_from', image_id)
    from reusable
  ) entry
  order by n, step
)
select
  j.n, coalesce(j.known, j.image),
  coalesce(p.state, o.state, case when r.n is null then 'received' else 'decided' end),
  case when j.known is null then j.duplicate_of when j.same then earlier.duplicate_of end,
  j.known is not null and j.same, not j.same,
  case when j.known is null and r.n is null then j.queue end,
  (select min(id) from sent where sent.body = j.body),
  case when j.known is null then r.verdict end
from judged j
left join reusable r on r.n = j.n
left join progress p on p.facility_id = j.facility and p.image_id = j.known
left join outcomes o on o.facility_id = j.facility and o.image_id = j.known
left join images earlier on earlier.facility_id = j.facility and earlier.image_id = j.known
