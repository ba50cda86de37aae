"""Limits of the listeners: bounds on the memory and the sockets that one client can use."""

from __future__ import annotations

from dataclasses import dataclass

MAX_BODY = 64 * 1024
"""Bytes. Answers a larger body with 413. The vendor's signals are under 1 KiB. Setting: server.max_body."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a listener and of each connection. A field says its unit, its effect and the reason for its value."""

    max_connections: int = 2048
    """Connections. At this number, idle ones are closed for new ones, see gateway/web/gate.py. 10 KB of memory each.

    Setting: server.max_connections. The process's limit of open files may lower it."""

    max_connections_per_address: int = 512
    """Connections of one address, without those of trusted proxies. The vendor's senders use fewer than 100."""

    idle_timeout: float = 75.0
    """Seconds. Cuts a connection that is idle or still sends a head, counted from the answer before.

    nginx and load balancers close their idle connections after 60 s, so they close first and never meet a cut one.
    Setting: server.idle_timeout."""

    answer_timeout: float = 75.0
    """Seconds. Cuts a connection whose answer takes longer, or is not read. The store answers within 15 s."""

    body_timeout: float = 20.0
    """Seconds. Cuts a connection if a body is incomplete after this time. 64 KiB take 20 s at 26 kbit/s."""

    head_size: int = 16 * 1024
    """Bytes. Answers a longer head with 431, not counting its first 2 KiB. Common servers allow 8 to 16 KiB."""

    target_size: int = 8 * 1024
    """Bytes. Answers a longer request target with 414. RFC 9112 3 recommends at least 8,000."""

    chunk_overhead: int = 8
    """Factor. Cuts a connection that sends more than this times the largest body, for instance as tiny chunks.

    A sender that writes chunks of one byte needs 6 bytes for each."""

    read_ahead: int = 16
    """Requests. Pauses parsing and reading while so many wait for answers. A piece of 2 KiB may exceed it.

    16 keep a pipelining sender busy, and bound its memory to one read and about 16 bodies."""

    drain_size: int = 1024 * 1024
    """Bytes. Cuts a sender that still sends after its refusal. Closing on unread bytes resets the connection, and the
    sender loses the answer, so up to 1 MiB is read and dropped first."""
