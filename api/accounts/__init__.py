"""Who calls: identity, sign-in, sessions, registration, and the account's own pages."""
