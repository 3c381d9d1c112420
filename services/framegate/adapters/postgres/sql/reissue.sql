-- Sends the messages of these images again.
with moment as materialized (select clock_timestamp() as now),
asked as materialized (
  select * from json_to_recordset(%(images)s::json) as i (facility text, image uuid, queue text, body text)
),
noted as (
  update progress p
  set reissues = p.reissues + 1, moved_at = now, issued_at = now,
      history = noted(p.history, 'sweep', now, 'sweep', 'reissued', 'nobody moved it for too long')
  from moment, asked a
  where p.facility_id = a.facility and p.image_id = a.image
)
insert into {outgoing} (queue, body, enqueued_at, visible_at) select queue, body, now, now from asked, moment
returning id, queue, body
