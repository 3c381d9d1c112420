-- One portion of what a site keeps after weeks: ended inspections with all that belongs to them, oldest first.
-- %(first)s .. %(last)s of %(count)s images, spread evenly from %(since)s to %(until)s. The same %(seed)s makes the same
-- rows, but for the moments. Random numbers are digits of a digest, so that a row does not depend on its portion.
create temporary table portion on commit drop as
select
  n, at,
  'hall-' || 1 + camera / 20 as facility, 'dock-' || lpad((1 + camera %% 20)::text, 2, '0') as camera,
  (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(hex, 1, 3) || '8' || substr(hex, 4, 15))::uuid
    as image,
  encode(sha256(convert_to('image ' || %(seed)s || ' ' || n, 'UTF8')), 'hex') as sha256,
  case when what < 20 then 'rejected' when what < 23 then 'failed' else 'decided' end as state,
  -- The last camera of each hall sees only whole goods: its fails are what cannot be found.
  case when what < 23 then null when what < 63 and camera %% 20 <> 19 then 'fail' when what < 120 then 'review' else 'pass' end
    as verdict,
  case
    when what < 20 then 'truncated' when what < 23 then 'exhausted'
    when what < 63 and camera %% 20 <> 19 then 'damage' when what < 100 then 'uncertain' when what < 119 then 'quality'
    when what < 120 then 'subject-missing' else 'clear'
  end as reason,
  -- What is newest was seen by the newest model; a short trial of another lies a week back.
  case when n between %(count)s * 3 / 4 and %(count)s * 3 / 4 + 500 then 'trial@1' when n < %(count)s / 2 then 'carton@1' else 'carton@2' end
    as model,
  many, rare, asked, blur, light, lane
from (
  select
    n, hex, %(since)s::timestamptz + (n::float8 / %(count)s) * (%(until)s::timestamptz - %(since)s::timestamptz) as at,
    n %% 40 as camera, ('x' || substr(hex, 20, 6))::bit(24)::int %% 1000 as what,
    1 + ('x' || substr(hex, 26, 2))::bit(8)::int %% 5 as many,
    ('x' || substr(hex, 28, 5))::bit(20)::int < 32 as rare,
    ('x' || substr(hex, 19, 1))::bit(4)::int < 5 as asked,
    ('x' || substr(hex, 2, 2))::bit(8)::int as blur, ('x' || substr(hex, 5, 2))::bit(8)::int as light,
    case when ('x' || substr(hex, 7, 2))::bit(8)::int < 13 then 'bulk' else 'live' end as lane
  from (select n, md5(%(seed)s || ' ' || n) as hex from generate_series(%(first)s::bigint, %(last)s::bigint) n) drawn
) mixed;

insert into images (
  facility_id, image_id, camera_id, camera_status, lane, blob_key, media_type, sha256, size_bytes, width, height,
  orientation, flags, captured_at, metadata, key_id, received_at
)
select
  facility, image, camera, 'confirmed', lane, 'originals/' || facility || to_char(at, '/YYYY/MM/DD/') || image || '.jpg',
  'image/jpeg', sha256, 390000 + blur, 1920, 1080, 1, '{}', at - interval '400 ms',
  -- Twenty images of a camera in a row are one shipment, five are one pallet.
  jsonb_build_object(
    'dock', camera, 'shipment', 'SHP-' || n %% 40 * 1000000 + n / 800,
    'sscc', '00340' || lpad((n %% 40 * 1000000 + n / 200)::text, 13, '0')
  ), 'seed', at
from portion order by n;

insert into audit (facility_id, actor, action, object, body, at)
select facility, 'key:seed', 'image.accepted', image::text, jsonb_build_object('camera', camera, 'sha256', sha256), at
from portion order by n;

insert into outcomes (
  facility_id, image_id, state, verdict, reason, detail, policy_version, model, model_sha256, engine, prepared, look,
  attempts, crashes, history, completed_by, received_at, preprocess_claimed_at, prepared_at, inference_claimed_at,
  inspected_at, gate_claimed_at, decided_at, preprocess_ms, inference_ms, gate_ms, alerts, camera_id
)
select
  facility, image, state, verdict, reason, 'What the rules made of it, in a sentence that a person understands.', 1,
  case when verdict is not null then model end, case when verdict is not null then encode(sha256(model::bytea), 'hex') end,
  case when verdict is not null then 'openvino 2025.3 int8' end,
  case when verdict is not null then jsonb_build_object(
    'blob_key', 'prepared/' || facility || '/' || image || '-1.zstd', 'codec', 'zstd',
    'letterbox', '{"scale": 0.333, "left": 0, "top": 140, "width": 640, "height": 360, "input": [640, 640]}'::jsonb,
    'quality', jsonb_build_object(
      'sharpness', 60 + blur, 'exposure', 60 + light / 2, 'contrast', 40 + blur / 8, 'clipped_dark', 0.01,
      'clipped_bright', light / 10000.0, 'flags', case when reason = 'quality' then '["blurred"]'::jsonb else '[]' end
    ),
    'recipe', '{"decoder": "simplejpeg", "version": "1.8", "denominator": 2, "orientation": 1}'::jsonb,
    'scene', jsonb_build_object('tiles', repeat(sha256, 8), 'layout', repeat(sha256, 2))
  ) end,
  1, 3, 0,
  case when state = 'failed' or blur < 2
    then noted('[]', 'inference', at, 'inference-1', 'error', 'the engine gave no answer') else '[]' end,
  '{}', at, at + interval '20 ms', at + interval '60 ms', at + interval '80 ms', at + interval '200 ms',
  at + interval '210 ms', at + interval '250 ms' + light * interval '3 ms', 20 + blur / 10.0, 60 + light / 10.0, 2.5, 0, camera
from portion order by n;

insert into detections (facility_id, image_id, ordinal, class, confidence, x1, y1, x2, y2, leads)
select
  facility, image, ordinal, class, round((0.98 - 0.09 * ordinal - (blur + ordinal * 37) %% 256 / 4096.0)::numeric, 4),
  100 * ordinal, 50 * ordinal, 100 * ordinal + 300, 50 * ordinal + 250,
  ordinal = min(ordinal) over (partition by facility, image, class)
from (
  select p.*, ordinal, case
      when ordinal > 1 and ordinal = many and rare then 'missing-seal'
      when ordinal = many and reason = 'damage' then case when blur < 100 then 'hole' else 'dent' end
      when ordinal = many and reason = 'uncertain' then 'dent'
      when ordinal %% 3 = 2 then 'pallet' else 'carton'
    end as class
  from portion p, generate_series(1, many) ordinal
  where verdict is not null
) found
order by n, ordinal;

insert into audit (facility_id, actor, action, object, body, at)
select facility, 'framegate', 'image.ended', image::text,
  jsonb_build_object('state', state, 'verdict', verdict, 'reason', reason), at + interval '1 s'
from portion order by n;

create temporary table desk on commit drop as
select
  p.*, gen_random_uuid() as review,
  case when (n + blur) %% 10 = 0 then 'cannot-tell' when (n + blur) %% 10 < 4 then 'fail' else 'pass' end as choice
from portion p where verdict = 'review';

insert into review_items (
  facility_id, image_id, camera_id, sha256, origin, automatic, model, weight, opened_at, version, state, review_id, choice,
  class, verdict
)
select
  facility, image, camera, sha256, 'verdict', verdict, model, 0.5, at + interval '1 s', 1 + decided::int,
  case when decided then 'decided' else 'open' end, case when decided then review end, case when decided then choice end,
  case when decided and choice = 'fail' then 'dent' end, case when decided then nullif(choice, 'cannot-tell') end
from (
  -- Nearly all that lies back a day is done; of every hundred, people left some.
  select *, at < %(until)s::timestamptz - interval '1 day' and asked as decided from desk
) asked_of_people
order by n;

insert into reviews (
  review_id, facility_id, image_id, choice, class, boxes, note, reviewer, at, version, shown_sha256, undo_until
)
select
  d.review, d.facility, d.image, d.choice, case when d.choice = 'fail' then 'dent' else '' end, '[]', '',
  'reviewer-' || n %% 5, d.at + interval '10 min', 1, d.sha256, d.at + interval '10 min 30 s'
from desk d join review_items i on i.facility_id = d.facility and i.image_id = d.image and i.state = 'decided'
order by n;

insert into audit (facility_id, actor, action, object, body, at)
select r.facility_id, r.reviewer, 'review.decided', r.image_id::text, jsonb_build_object('choice', r.choice), r.at
from reviews r join portion p on p.facility = r.facility_id and p.image = r.image_id
order by p.n;
