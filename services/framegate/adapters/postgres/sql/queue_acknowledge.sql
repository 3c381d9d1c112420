-- Deletes messages, and says which of the receipts were valid. A deletion that a crash forgets costs one more delivery.
with relaxed as materialized (select set_config('synchronous_commit', 'off', true))
delete from queue_messages m
using relaxed, unnest(%(ids)s::bigint[], %(receipts)s::uuid[]) as held (id, receipt)
where m.id = held.id and m.receipt = held.receipt
returning m.id::text
