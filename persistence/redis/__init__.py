"""The Redis store: its layout, scripts and checks, its lease, and moving in and out."""
