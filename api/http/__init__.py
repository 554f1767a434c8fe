"""The HTTP of every call: connections, calls and their fields, problems, proxies, gates against guessing, idempotency, lists."""
