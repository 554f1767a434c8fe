"""Persons, businesses and share links: their actors, documents and deadlines."""
