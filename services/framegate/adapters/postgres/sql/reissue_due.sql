-- Images in flight whose message must have been lost: nobody moved or claimed them for longer than their state allows
-- (twice as long after each time), and no message as old as theirs is ready in their queue. While one is, the workers
-- are only behind, and a second message would not help. A remote queue tells only how many messages are ready: as many
-- images still have theirs, and no more than the others are sent again.
with moment as materialized (select clock_timestamp() as now),
idle as materialized (
  select * from json_to_recordset(%(idle)s::json) as i (state text, lane text, queue text, idle_s float8, ready bigint)
),
backlog as materialized (
  select idle.queue, min(m.enqueued_at) as oldest
  from idle join queue_messages m on m.queue = idle.queue and m.visible_at <= (select now from moment)
  group by idle.queue
)
select lost.*
from moment
cross join idle
left join backlog b on b.queue = idle.queue
cross join lateral (
  select case when idle.ready is null then %(max)s else least(%(max)s, greatest(0, count(*) - idle.ready)) end as most
  from progress p
  where idle.ready is not null and p.state = idle.state and p.lane = idle.lane
    and (p.lease_until is null or p.lease_until <= now) -- also what a dead worker had claimed
) missing
cross join lateral (
  select p.facility_id, p.image_id, p.look, p.lane, p.state, p.attempt, p.reissues + 1,
    (select i.trace from images i where i.facility_id = p.facility_id and i.image_id = p.image_id) as trace
  from progress p
  where p.state = idle.state and p.lane = idle.lane
    and greatest(p.moved_at, p.lease_until)
      <= now - make_interval(secs => least(idle_s * 2 ^ least(p.reissues, 30), greatest(idle_s, 3600)))
    and (b.oldest is null or b.oldest > p.issued_at)
  order by p.moved_at
  limit missing.most
  for update skip locked
) lost
limit %(max)s
