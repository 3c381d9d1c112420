"""The gate: applies the policy to what was found and decides."""
