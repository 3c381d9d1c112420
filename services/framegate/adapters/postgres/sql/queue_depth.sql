-- What waits in a queue: ready, in flight, delayed, and the age of the oldest message that waits.
with moment as materialized (select clock_timestamp() as now)
select
  count(*) filter (where visible_at <= now),
  count(*) filter (where visible_at > now and receipt is not null),
  count(*) filter (where visible_at > now and receipt is null),
  extract(epoch from max(now) - min(enqueued_at) filter (where visible_at <= now or receipt is null))::float8
from moment left join queue_messages on queue = %(queue)s
where queue is not null
