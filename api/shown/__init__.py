"""What the answers show: views of vehicles, shares, alerts and bindings."""
