"""A store as facts: written to a file, read back, and compared by a checksum."""
