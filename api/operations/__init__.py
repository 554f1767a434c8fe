"""What operators see: health, metrics, readiness and the control room."""
