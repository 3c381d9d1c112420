-- The next ended images of a facility, in the order in which they ended, with what of each is still there.
select
  o.sequence, o.image_id, o.state, o.verdict, v.verdict as human, coalesce(v.state = 'open', false) as waiting, o.decided_at,
  not exists (
    select from erasures e where e.facility_id = i.facility_id and e.image_id = i.image_id and e.part = 'original'
  ) as original,
  i.metadata <> '{}' as metadata
from (
  select facility_id, sequence, image_id, state, verdict, decided_at from outcomes
  where facility_id = %(facility)s and sequence > %(after)s
  order by sequence limit %(max)s
) o
join images i on i.facility_id = o.facility_id and i.image_id = o.image_id
left join review_items v on v.facility_id = o.facility_id and v.image_id = o.image_id
order by o.sequence
