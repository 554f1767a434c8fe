"""The embedded SQLite store: its files and their claim, its writer, packs and steps, backup, and moving in and out."""
