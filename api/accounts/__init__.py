"""Callers' identity: sign-in, sessions, registration, and an account's own pages."""
