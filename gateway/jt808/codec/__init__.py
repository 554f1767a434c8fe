"""JT/T 808 as pure bytes: frames and message bodies, read and written; all that the simulator may import."""
