"""Alerts: taken into incidents, and what changes is told to whoever wants to hear of it."""
