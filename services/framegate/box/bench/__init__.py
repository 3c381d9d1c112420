"""The benchmark: the whole box beside the bare limit of the same machine, measured in the same run."""
