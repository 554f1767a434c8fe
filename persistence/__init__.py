"""The memory of the service: one store protocol, and the stores that keep it."""
