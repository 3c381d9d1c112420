-- Completes claims whose image goes on, and sends the message that follows, in one transaction.
--
-- Only the claim's own token opens the row. Crashes, attempts and the wish to run alone belong to a stage and a look, so
-- they start anew; the finding keeps how many crashes it rests on (a conviction reports the last one itself). With a
-- region, what the row says was found becomes the image's first look, which nothing changes any more.
with moment as materialized (select clock_timestamp() as now),
asked as materialized (
  select * from json_to_recordset(%(completions)s::json) as c (
    n integer, facility text, image uuid, token uuid, state text, again boolean, cause text, work_ms real,
    prepared json, finding json, detections text, convicts boolean, queue text, body text, region json
  )
),
locked as materialized (
  select a.*
  from asked a join progress p on p.facility_id = a.facility and p.image_id = a.image and p.token = a.token
  order by p.facility_id, p.image_id
  for update of p
),
moved as (
  update progress p
  set state = l.state,
      look = p.look + l.again::integer,
      token = null,
      claimed_by = null,
      claimed_stage = null,
      lease_until = null,
      claim_solo = false,
      solo = false,
      crashes = 0,
      attempt = 0,
      reissues = 0,
      moved_at = now,
      issued_at = now,
      done_tokens = p.done_tokens || l.token,
      prepared = case when l.again then null else coalesce(l.prepared, p.prepared) end,
      first_look = case when l.region is null then p.first_look else json_build_object(
        'region', l.region, 'prepared', p.prepared, 'finding', p.finding, 'detections', encode(p.detections, 'hex')
      ) end,
      finding = l.finding,
      detections = decode(l.detections, 'hex'),
      finding_crashes = p.crashes + (l.convicts and p.crashes < 3)::integer,
      history = case when l.cause is not null
        then noted(p.history, p.claimed_stage, now, p.claimed_by, 'prepare-again', l.cause) else p.history end,
      prepared_at = case when l.state = 'prepared' then now when l.again then null else p.prepared_at end,
      inspected_at = case when l.state = 'inspected' then now end,
      preprocess_ms = case when p.claimed_stage = 'preprocess'
        then coalesce(p.preprocess_ms, 0) + l.work_ms else p.preprocess_ms end,
      inference_ms = case when p.claimed_stage = 'inference'
        then coalesce(p.inference_ms, 0) + l.work_ms else p.inference_ms end
  from moment, locked l
  where p.facility_id = l.facility and p.image_id = l.image
  returning l.n, l.queue, l.body, now
),
sent as (
  insert into {outgoing} (queue, body, enqueued_at, visible_at) select queue, body, now, now from moved order by n
  returning id, body
)
select n, (select min(id) from sent where sent.body = moved.body), queue, body from moved
