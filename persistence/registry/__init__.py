"""The transport registry: its documents, look-ups and import."""
