"""How much of the endpoint's time and memory its callers may take."""

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """One bound for each thing that a slow, greedy or broken caller could use up."""

    head_s: float = 10.0
    """From an open connection, or the last answer on it, to the end of the next request's headers."""
    head_bytes: int = 64 * 1024
    """Request line and headers; parameters may come in the query string."""
    body_s: float = 30.0
    """From the end of the headers to the end of the body."""
    held_bytes: int = 64 * _MIB
    """All bodies together, each from its first byte until its call is answered: 12 photos of 5 MB.

    Beyond it, the body that has got no further for the longest is cut off."""
    linger_s: float = 30.0
    """How long a caller may go on sending a body that was answered early; it is thrown away as it comes."""
    linger_bytes: int = 64 * _MIB
    """How much of it."""
    stall_s: float = 10.0
    """How long a caller may not take what was sent to it."""
    connections: int = 2048
    """Open connections; one more closes the one that has waited longest for its caller."""
    stop_s: int = 8
    """From SIGTERM to the end, for the calls under way; containers are killed after 10 s."""
