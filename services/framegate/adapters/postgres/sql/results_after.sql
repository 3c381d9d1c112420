-- Ended images after a sequence number, of several facilities, in order.
--
-- Numbers are taken before the commit, so a lower one may become visible after a higher one. A reader that goes on from
-- the last number it saw would miss it. Hence only rows older than every transaction that still runs are told: whoever
-- took a lower number had a transaction id by then, and is over. A long transaction that writes delays this view.
select o.sequence, o.facility_id, o.image_id
from unnest(%(facilities)s::text[]) as wanted (facility)
cross join lateral (
  select sequence, facility_id, image_id from outcomes
  where facility_id = wanted.facility and sequence > %(sequence)s
    and written_by < pg_snapshot_xmin(pg_current_snapshot())
  order by sequence limit %(max)s
) o
order by o.sequence limit %(max)s
