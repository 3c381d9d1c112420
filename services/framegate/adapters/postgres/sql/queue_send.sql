-- Appends messages, visible after a delay.
with moment as materialized (select clock_timestamp() as now)
insert into queue_messages (queue, body, enqueued_at, visible_at)
select %(queue)s, sent.body, moment.now, moment.now + make_interval(secs => %(delay)s)
from moment, unnest(%(bodies)s::text[]) with ordinality as sent (body, n)
order by sent.n
