-- Images in flight whose message must have been lost: nobody moved or claimed them for longer than their state allows
-- (twice as long after each time), and no message as old as theirs is ready in their queue. While one is, the workers
-- are only behind, and a second message would not help.
with moment as materialized (select clock_timestamp() as now),
idle as materialized (
  select * from json_to_recordset(%(idle)s::json) as i (state text, lane text, queue text, idle_s float8)
),
backlog as materialized (
  select idle.queue, min(m.enqueued_at) as oldest
  from idle join queue_messages m on m.queue = idle.queue and m.visible_at <= (select now from moment)
  group by idle.queue
)
select p.facility_id, p.image_id, p.look, p.lane, p.state, p.attempt, p.reissues + 1
from moment
cross join idle
join progress p on p.state = idle.state and p.lane = idle.lane
left join backlog b on b.queue = idle.queue
where greatest(p.moved_at, p.lease_until)
    <= now - make_interval(secs => least(idle_s * 2 ^ least(p.reissues, 30), greatest(idle_s, 3600)))
  and (b.oldest is null or b.oldest > p.issued_at)
order by p.moved_at
limit %(max)s
for update of p skip locked
