"""What people decided at the review desk, as labelled images."""
