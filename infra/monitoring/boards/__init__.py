"""One module for each dashboard, in the order in which people go through them."""
