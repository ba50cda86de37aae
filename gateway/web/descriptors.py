"""File descriptors of the process: as many as the system allows, and a share of them for connections."""

from __future__ import annotations

import contextlib
import resource


def raise_descriptor_limit() -> None:
    """Raise the process's limit of open files to the most that the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS refuses an infinite limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def count_descriptors() -> int:
    """Return the process's limit of open files."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft


def limit_connections(wanted: int, descriptors: int) -> int:
    """Return the connections that a listener may have: as many as wanted, if enough descriptors remain.

    A quarter, of 32 to 1,024, remains for the store (about 20), the log, the sinks' files and connections, and the
    admin listener.
    """
    reserved = max(32, min(1024, descriptors // 4))
    return max(1, min(wanted, descriptors - reserved))
