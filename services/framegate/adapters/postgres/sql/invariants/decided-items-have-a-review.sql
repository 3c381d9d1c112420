-- an item of the review desk that is decided rests on an accepted review of the same image
select r.image_id::text from review_items r
where r.state = 'decided' and not exists (
  select from reviews v
  where v.review_id = r.review_id and v.facility_id = r.facility_id and v.image_id = r.image_id and v.choice = r.choice
)
