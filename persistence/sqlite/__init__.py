"""The embedded SQLite store: its files and their claim, its writer and packs, backup, and moving in and out."""
