-- Messages that nobody has sent for a while, oldest first.
select id, queue, body
from outbox
where enqueued_at <= clock_timestamp() - make_interval(secs => %(idle)s)
order by id
limit %(max)s
for update skip locked
