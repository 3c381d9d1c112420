-- Ends the leases of a dead predecessor.
update progress set lease_until = clock_timestamp()
where claimed_by = %(owner)s and token is not null and lease_until > clock_timestamp()
