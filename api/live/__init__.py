"""Live streams: what is watched, how it is resumed, and the lines that carry it."""
