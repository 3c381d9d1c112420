-- Seconds until the next hidden message of these queues becomes visible; null when none is hidden.
select extract(epoch from min(soonest.visible_at) - clock_timestamp())::float8
from unnest(%(queues)s::text[]) as wanted (queue)
cross join lateral (
  select visible_at from queue_messages where queue = wanted.queue order by visible_at, id limit 1
) soonest
