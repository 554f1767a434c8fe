"""What remembers: one store protocol, and the stores that keep it."""
