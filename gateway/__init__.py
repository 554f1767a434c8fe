"""What trucks and platforms speak to us: JT/T 808 terminals over TCP, platforms over the MessagePack feed."""
