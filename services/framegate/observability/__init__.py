"""What the processes tell about themselves: metrics, logs, health."""
