"""The one consume loop that every queue stage runs in: receive, decode, handle, settle."""
