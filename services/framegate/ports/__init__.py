"""What the stages need from the outside world, one capability a file, as Protocols."""
