"""Vehicles: their actors, telemetry in, checkpoints, recovery, the directory of terminals, and the fleet as a whole."""
