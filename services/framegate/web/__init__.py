"""What HTTP stages share: problems, who may do what, limits, paging."""
