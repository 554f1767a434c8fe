"""The calls for operators: health, metrics, readiness and the control room."""
