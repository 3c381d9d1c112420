-- Makes messages visible again after a delay; their receipts end.
with relaxed as materialized (select set_config('synchronous_commit', 'off', true)),
moment as materialized (select clock_timestamp() as now from relaxed)
update queue_messages m
set visible_at = moment.now + make_interval(secs => %(delay)s), receipt = null, leased_by = null
from moment, unnest(%(ids)s::bigint[], %(receipts)s::uuid[]) as held (id, receipt)
where m.id = held.id and m.receipt = held.receipt
returning m.queue
