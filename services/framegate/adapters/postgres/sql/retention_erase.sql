-- Records that parts of images are erased, unless a hold covers the image: metadata are gone with it, files not yet.
--
-- The audit has the digest of the picture, and of metadata only the names: a digest of a short text is soon guessed.
with moment as materialized (select clock_timestamp() as now),
free as materialized (
  select a.part, a.reason, i.facility_id, i.image_id, i.sha256,
    (select jsonb_agg(name order by name) from jsonb_object_keys(i.metadata) name) as names
  from json_to_recordset(%(due)s::json) as a (image uuid, part text, reason text)
  join images i on i.facility_id = %(facility)s and i.image_id = a.image
  where not exists (select from holds_on(i)) and (a.part <> 'metadata' or i.metadata <> '{}')
),
erased as (
  insert into erasures (facility_id, image_id, part, reason, actor, at, done_at)
  select facility_id, image_id, part, reason, %(actor)s, now, case part when 'metadata' then now end from free, moment
  order by image_id, part
  on conflict do nothing
  returning facility_id, image_id, part
),
emptied as (
  update images i set metadata = '{}' from erased e
  where e.part = 'metadata' and i.facility_id = e.facility_id and i.image_id = e.image_id
),
forgotten as (
  update uploads u set metadata = '{}' from erased e
  where e.part = 'metadata' and u.facility_id = e.facility_id and u.upload_id = e.image_id
),
audited as (
  insert into audit (facility_id, actor, action, object, body, at)
  select facility_id, %(actor)s, 'image.erased', image_id::text,
    jsonb_object_agg(part, jsonb_build_object('reason', reason) || case part
      when 'original' then jsonb_build_object('sha256', sha256)
      else jsonb_build_object('names', coalesce(names, '[]'))
    end),
    max(now)
  from erased join free using (facility_id, image_id, part), moment
  group by facility_id, image_id
  order by image_id
)
select part from erased
