"""Live streams: watching a vehicle, resuming, and the lines that carry the events."""
