"""The actor runtime, its supervisor and the clock; nothing here knows of trucks or people."""
