-- an image that waits for inference has a prepared frame, one that waits for the gate a finding
select image_id::text from progress
where (state = 'prepared' and prepared is null) or (state = 'inspected' and finding is null)
