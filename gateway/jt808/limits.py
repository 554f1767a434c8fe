"""The limits of the JT/T 808 gateway: what terminals, and connections that pretend to be some, may ask of it."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.jt808.codec.frames import MAX_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds are real ones, whatever clock the rules run on."""

    max_connections: int = 50_000
    max_connections_per_ip: int = 50_000
    """Whole fleets come through one address of a mobile network, and every simulated one from the same machine."""
    max_unauthenticated_per_ip: int = 1_000
    """Connections of one address that have not authenticated; further ones wait in line until one has, or gives way."""
    unauthenticated_grace_s: float = 5
    """After this time a connection that has not authenticated gives way to one that waits for its place."""
    idle_timeout_s: float = 600
    """Silence of three heartbeats: the path is dead."""
    handshake_timeout_s: float = 30
    """Whoever has not authenticated by then is no terminal."""
    max_terminals_per_connection: int = 1_000
    """A forwarding platform brings many over one connection."""
    max_frame_bytes: int = MAX_FRAME_BYTES
    max_refused_frames: int = 20
    """Of a connection before it authenticates; after that, undecodable ones in a row. Then it is closed."""
    max_noise_bytes: int = 4 << 20
    """On one connection, outside of any frame."""
    max_unfinished_messages: int = 4
    """Split messages of one terminal that wait for packets."""
    max_unfinished_bytes: int = 65_536
    """Of one terminal, together."""
    max_strangers_bytes: int = 4_096
    """The same before anybody has authenticated on a connection: a split registration is much smaller."""
    split_patience_s: float = 5
    """So long after the last packet we ask for the missing ones; three times, then the message is given up."""
    max_questions: int = 8
    """Commands to one terminal that wait for its answer."""
    write_buffer_high: int = 16_384
    """When so much waits to be sent to a terminal, we stop listening to it."""
    turn_budget_s: float = 0.004
    """Work for authenticated terminals in one turn of the event loop; as much again for those that say much at once."""
    newcomers_budget_s: float = 0.003
    """Work for connections that have not authenticated, in one turn of the event loop."""
    much_at_once_bytes: int = 512
    """A terminal that says more than this at once waits until the others have been heard."""
    much_in_flight: int = 1_000
    """While this many reports are not durable yet, a terminal that says much at once is not heard at all."""
