-- The next ended images of a facility, in the order in which they ended, with what of each is still there.
--
-- Lateral with a limit: otherwise the planner may read all erasures and all items for every page.
select
  o.sequence, o.image_id, o.state, o.verdict, v.verdict as human, coalesce(v.state = 'open', false) as waiting, o.decided_at,
  e.part is null as original, i.metadata <> '{}' as metadata
from (
  select facility_id, sequence, image_id, state, verdict, decided_at from outcomes
  where facility_id = %(facility)s and sequence > %(after)s
  order by sequence limit %(max)s
) o
join images i on i.facility_id = o.facility_id and i.image_id = o.image_id
left join lateral (
  select verdict, state from review_items where facility_id = o.facility_id and image_id = o.image_id limit 1
) v on true
left join lateral (
  select part from erasures where facility_id = o.facility_id and image_id = o.image_id and part = 'original' limit 1
) e on true
order by o.sequence
