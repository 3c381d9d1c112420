"""The sweeper: brings back what was lost on the way, and says when the sums do not add up."""
