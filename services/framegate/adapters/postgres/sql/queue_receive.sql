-- Takes up to `max` visible messages, oldest first, from the queues in order of preference. What was received too often
-- moves to the dead letters instead; such rows come back without a receipt, so that the caller looks again.
--
-- The moment is a scalar subquery, computed once: the index can then stop at it. `unnest` yields the queues in order and
-- the outer limit stops asking, so a queue is not even looked at while one before it has enough.
-- Commits without waiting for the disk: a delivery that a crash forgets is only delivered again.
with relaxed as materialized (select set_config('synchronous_commit', 'off', true)),
moment as materialized (select clock_timestamp() as now from relaxed),
picked as materialized (
  select ready.id, ready.receive_count >= %(max_receives)s as dies, wanted.rank
  from unnest(%(queues)s::text[]) with ordinality as wanted (queue, rank)
  cross join lateral (
    select id, receive_count
    from queue_messages
    where queue = wanted.queue and visible_at <= (select now from moment)
    order by visible_at, id
    limit %(max)s
    for update skip locked
  ) ready
  limit %(max)s
),
dying as (
  delete from queue_messages m using picked p where m.id = p.id and p.dies
  returning m.id, m.queue, m.body, m.receive_count, m.enqueued_at, p.rank
),
buried as (
  insert into dead_letters (queue, body, cause, receive_count, enqueued_at)
  select queue, body, 'receive-count', receive_count, enqueued_at from dying
),
taken as (
  update queue_messages m
  set visible_at = (select now from moment) + make_interval(secs => %(visibility)s),
      receipt = gen_random_uuid(), receive_count = m.receive_count + 1, leased_by = %(owner)s
  from picked p
  where m.id = p.id and not p.dies
  returning m.id, m.queue, m.receipt, m.body, m.receive_count, m.enqueued_at, p.rank
)
select queue, id::text, receipt::text, body, receive_count, enqueued_at, rank, id as position from taken
union all
select queue, null, null, null, receive_count, enqueued_at, rank, id from dying
order by rank, position
