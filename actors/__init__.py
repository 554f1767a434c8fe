"""Mailboxes, timers and supervision around the values of ``domain``."""
