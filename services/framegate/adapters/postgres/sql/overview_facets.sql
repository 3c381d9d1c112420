-- What occurs: from each index one entry of each name, the next name after the last, so that the work is that of the names.
with recursive
wanted as (select facility from unnest(%(facilities)s::text[]) w (facility)),
classes as (
  select facility, (select min(class) from detections where facility_id = facility and leads) as name, 1 as n from wanted
  union all
  select facility, (select min(class) from detections where facility_id = facility and leads and class > name), n + 1
  from classes where name is not null and n < %(most)s
),
models as (
  select facility, (select min(model) from outcomes where facility_id = facility and model is not null) as name, 1 as n
  from wanted
  union all
  select facility, (select min(model) from outcomes where facility_id = facility and model > name), n + 1
  from models where name is not null and n < %(most)s
),
reasons as (
  select facility, (select min(reason) from outcomes where facility_id = facility) as name, 1 as n from wanted
  union all
  select facility, (select min(reason) from outcomes where facility_id = facility and reason > name), n + 1
  from reasons where name is not null and n < %(most)s
)
select 'cameras', id from cameras where facility_id = any (%(facilities)s)
union select 'classes', name from classes where name is not null
union select 'models', name from models where name is not null
union select 'reasons', name from reasons where name is not null
