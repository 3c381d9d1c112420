"""The schema's history; `migrate` brings a database to its newest version."""
