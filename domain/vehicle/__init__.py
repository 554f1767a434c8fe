"""The rules of one vehicle: its fixes, clock, driving, alerts and their quality."""
