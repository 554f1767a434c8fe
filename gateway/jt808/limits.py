"""The limits of the JT/T 808 gateway: how much terminals, and connections that pretend to be some, may ask of it."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.jt808.codec.frames import MAX_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class TerminalLimits:
    """The gateway's limits. Seconds are real ones, whatever clock the rules run on."""

    max_connections: int = 100_000
    max_connections_per_ip: int = 100_000
    """Connections of one address. Whole fleets come through one address of a mobile network, or from one simulator."""
    max_unauthenticated_per_ip: int = 1_000
    """Connections of one address that have not authenticated; further ones wait in line for a place."""
    unauthenticated_grace_s: float = 5
    """Seconds after which a connection that has not authenticated gives way to one that waits for its place."""
    idle_timeout_s: float = 600.0
    """Seconds of silence that show a dead path: three heartbeats."""
    handshake_timeout_s: float = 30.0
    """Seconds after which a connection that has not authenticated is no terminal's."""
    max_terminals_per_connection: int = 1_000
    """Terminals of a connection: a forwarding platform brings many."""
    max_frame_bytes: int = MAX_FRAME_BYTES
    max_refused_frames: int = 20
    """Refused frames of a connection before it authenticates; after that, undecodable ones in a row.

    Then it is closed.
    """
    max_noise_bytes: int = 4 << 20
    """Bytes outside of any frame on one connection."""
    max_unfinished_messages: int = 4
    """Split messages of one terminal that wait for packets."""
    max_unfinished_bytes: int = 65_536
    """Bytes of one terminal's unfinished messages together."""
    max_strangers_bytes: int = 4_096
    """The same for a connection before any terminal has authenticated: a split registration is much smaller."""
    split_patience_s: float = 5
    """Seconds after the last packet until we ask for missing ones; after three times the message is given up."""
    max_questions: int = 8
    """Commands to one terminal that wait for its answer."""
    write_buffer_high: int = 16_384
    """Bytes waiting to be sent to a terminal above which we stop listening to it."""
    turn_budget_s: float = 0.004
    """Work for authenticated terminals in one turn of the event loop; the same again for those that say much at once.
    """
    newcomers_budget_s: float = 0.003
    """Work for connections that have not authenticated, in one turn of the event loop."""
    much_at_once_bytes: int = 512
    """A terminal that says more than this at once waits until the others have been heard."""
    much_in_flight: int = 1_000
    """While this many reports are not durable yet, a terminal that says much at once is not heard at all."""
