"""What do hostile bytes do to the decoders? ``python -m fuzz``; the corpus is replayed by the tests."""
