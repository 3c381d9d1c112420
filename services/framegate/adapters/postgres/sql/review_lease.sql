-- Puts open items into somebody's hands: first what is there already, whose version stays, then others by falling risk.
--
-- Whose picture was erased nobody can decide about. What another transaction holds is skipped, and what it has just
-- changed is looked at again before it is taken.
with moment as materialized (select clock_timestamp() as now),
mine as materialized (
  select facility_id, image_id, 0 as taken from review_items
  where facility_id = any (%(facilities)s) and state = 'open' and leased_by = %(actor)s
    and not exists (
      select from erasures e
      where e.facility_id = review_items.facility_id and e.image_id = review_items.image_id and e.part = 'original'
    )
  order by weight * (%(head_start)s + extract(epoch from (select now from moment) - opened_at)) desc, image_id
  limit %(max)s
  for update skip locked
),
others as materialized (
  select facility_id, image_id, 1 as taken from review_items
  where facility_id = any (%(facilities)s) and state = 'open'
    and (leased_by is null or (leased_by <> %(actor)s and leased_until <= (select now from moment)))
    and not exists (
      select from erasures e
      where e.facility_id = review_items.facility_id and e.image_id = review_items.image_id and e.part = 'original'
    )
  order by %(actor)s = any (skipped_by),
    weight * (%(head_start)s + extract(epoch from (select now from moment) - opened_at)) desc, image_id
  limit %(max)s - (select count(*) from mine)
  for update skip locked
)
update review_items i
set leased_by = %(actor)s, leased_until = now + make_interval(secs => %(lease)s), version = i.version + chosen.taken
from moment, (select * from mine union all select * from others) chosen
where i.facility_id = chosen.facility_id and i.image_id = chosen.image_id
returning i.facility_id, i.image_id, chosen.taken = 1 as fresh
