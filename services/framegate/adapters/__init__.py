"""One technology each; adapters do not know each other, and only bootstrap knows them."""
