-- Frees what a dead predecessor still holds.
update queue_messages
set visible_at = clock_timestamp(), receipt = null, leased_by = null
where leased_by = %(owner)s and receipt is not null and visible_at > (select clock_timestamp())
returning queue
