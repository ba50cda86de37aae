"""What all rings share."""

from __future__ import annotations

import asyncio

# Else the first IOLoop of a test has asyncio make a loop to fall back to, which nobody closes.
asyncio.set_event_loop(None)
