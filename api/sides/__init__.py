"""The calls of drivers, families, owners and platforms, and their routes."""
