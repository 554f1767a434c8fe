"""What driver, family, owner and platforms call, and the routes of those calls."""
