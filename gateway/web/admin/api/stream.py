"""Endpoint of the stream: server-sent events of signals, alerts and results, as they happen."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from gateway import exact_json
from gateway.operate.access import accounts_seen
from gateway.operate.feed import Event
from gateway.web.admin.api.endpoint import Call, Reply, endpoint

EVENTS = "text/event-stream"
RETRY = "retry: 2000\n\n"
"""First lines of a stream: a client connects again 2 s after it was cut off."""


@endpoint({200: None}, media=EVENTS)
async def follow(call: Call) -> Reply:
    """Follow events as they happen: signal, alert, result. `Last-Event-ID` goes on where a stream was cut off."""
    call.desk.feed().require_room()
    return Reply(write_events(call), headers={"Content-Type": EVENTS, "X-Accel-Buffering": "no"})


async def write_events(call: Call) -> AsyncGenerator[str, None]:
    """Yield the text of each event that the role sees, and a comment after a silence."""

    def sees(account: str) -> bool:
        seen = accounts_seen(call.access, call.desk.config())
        return seen is None or account in seen

    yield RETRY
    async for id, event in call.desk.feed().watch(call.last_event_id, sees):
        yield write_event(id, event) if event else ": still here\n\n"


def write_event(id: str, event: Event) -> str:
    """Return an event as text: its id, its kind and its JSON."""
    lines = [f"id: {id}"] if id else []
    return "\n".join([*lines, f"event: {event.kind}", f"data: {exact_json.dumps(event.data).decode()}", "", ""])
