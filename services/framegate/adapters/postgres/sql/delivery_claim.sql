-- Takes what is due for each endpoint, as much as the worker has room for.
with room as materialized (
  select e.endpoint_id, %(slots)s - coalesce(b.n, 0) as slots
  from hook_endpoints e
  left join unnest(%(busy)s::uuid[], %(counts)s::integer[]) as b (endpoint_id, n) on b.endpoint_id = e.endpoint_id
  where e.enabled
),
due as materialized (
  select found.delivery_id
  from room
  cross join lateral (
    select d.delivery_id, d.due_at from hook_deliveries d
    where d.endpoint_id = room.endpoint_id and d.state = 'pending' and d.due_at <= clock_timestamp()
      and (d.leased_until is null or d.leased_until <= clock_timestamp())
    order by d.due_at, d.delivery_id
    limit greatest(room.slots, 0)
    for update skip locked
  ) as found
  order by found.due_at, found.delivery_id
  limit %(most)s
),
claimed as (
  update hook_deliveries d
  set owner = %(owner)s, token = gen_random_uuid(), leased_until = clock_timestamp() + make_interval(secs => %(lease)s)
  from due where d.delivery_id = due.delivery_id
  returning d.delivery_id, d.endpoint_id, d.message_id, d.attempts, d.token, d.due_at
)
select
  c.delivery_id, c.attempts, c.token, c.due_at,
  m.at as said_at, m.message_id, m.change, m.payload, m.title, m.body, m.link, m.severity, i.trace,
  e.endpoint_id, e.facility_id, e.kind, e.target, e.changes, e.min_severity, e.enabled, e.reason, e.generation,
  e.rotated_at, e.created_at, e.created_by, e.failing_since, e.failures, e.last_success_at
from claimed c
join incident_events m on m.message_id = c.message_id
join hook_endpoints e on e.endpoint_id = c.endpoint_id
left join images i on i.facility_id = m.facility_id and i.image_id = m.image_id
order by c.due_at, c.delivery_id
