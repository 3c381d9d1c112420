"""Pages for people, served by the HTTP application; no stage of its own."""
