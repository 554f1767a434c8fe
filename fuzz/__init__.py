"""Fuzzes the decoders with hostile bytes: ``python -m fuzz``. The tests replay the corpus."""
