-- an outcome has a verdict exactly when its image is decided
select image_id::text from outcomes where (verdict is not null) <> (state = 'decided')
