"""JT/T 808 (2011, 2013, 2019): bytes to frames, frames to messages, the conversation with a terminal, and the sockets."""
