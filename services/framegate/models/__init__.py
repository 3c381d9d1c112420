"""Models: how they come in, are checked, measured and calibrated."""
