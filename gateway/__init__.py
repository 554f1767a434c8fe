"""The ways in for trucks and platforms: JT/T 808 terminals over TCP, platforms over the MessagePack feed."""
