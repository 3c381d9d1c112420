"""From an original to a prepared frame; decoders run in child processes that may die."""
