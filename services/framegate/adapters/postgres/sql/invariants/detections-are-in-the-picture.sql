-- detections are finite and lie inside the upright picture
select d.image_id::text || '#' || d.ordinal from detections d
join images i on i.facility_id = d.facility_id and i.image_id = d.image_id
cross join lateral (
  select case when i.orientation >= 5 then i.height else i.width end + 1 as right,
    case when i.orientation >= 5 then i.width else i.height end + 1 as bottom
) picture
where not (d.confidence between 0 and 1 and d.x1 between -1 and d.x2 and d.x2 <= picture.right
  and d.y1 between -1 and d.y2 and d.y2 <= picture.bottom)
