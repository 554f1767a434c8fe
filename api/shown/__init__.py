"""The views in answers: vehicles, shares, alerts and bindings."""
