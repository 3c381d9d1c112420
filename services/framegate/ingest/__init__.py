"""Ingest: the HTTP API. It checks uploads cheaply, stores them durably, and tells what became of them."""
