"""Framegate: a queue-driven visual inspection pipeline for warehouses."""

__version__ = "0.1.0"
