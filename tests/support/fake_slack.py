"""A fake of Slack's incoming webhooks, with its documented limits and errors. By hand, to see what is sent:

python -m tests.support.fake_slack --port 8090
"""

from __future__ import annotations

import argparse
import asyncio
import html
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from tests.support.stub import Answer, Request, Stub

PATH = "/services/T0/B0/demo"
MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_SECTION = 3000
MAX_FIELD = 2000
MAX_FIELDS = 10
MAX_ELEMENTS = 10
MAX_ID = 255

Block = dict[str, Any]


class FakeSlack(Stub):
    """`messages` are those posted. `paths` are the webhooks there are; `refusals` maps some to an error's answer.

    `rate_limited` allows one message a second to each webhook, by `clock`, after `burst` more.
    """

    def __init__(self, rate_limited: bool = False, burst: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self.paths = {PATH}
        self.refusals: dict[str, Answer] = {}
        self.rate_limited = rate_limited
        self.burst = burst
        self.clock = clock
        self.say: Callable[[str], None] = lambda _: None
        self._free_at: dict[str, float] = {}

    @property
    def webhook(self) -> str:
        return self.url + PATH

    def refuse(self, status: int, code: str) -> None:
        """Answer each message to the webhook with an error, until it is taken out of `refusals`."""
        self.refusals[PATH] = Answer(status, code)

    def answer(self, request: Request) -> Answer:
        if request.path not in self.paths:
            return Answer(404, "no_service")
        if request.method != "POST":
            return Answer(400, "invalid_payload")
        try:
            message = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            return Answer(400, "invalid_payload")
        if code := fault_of(message):
            return Answer(400, code)
        return self.refusals.get(request.path) or self.throttle(request.path) or self.post(message)

    def throttle(self, path: str) -> Answer | None:
        """429 with the seconds to wait, where the webhook's last message is too close."""
        if not self.rate_limited:
            return None
        now = self.clock()
        free_at = max(now, self._free_at.get(path, now))
        if free_at - now > self.burst:
            return Answer(429, "rate_limited", {"Retry-After": str(max(1, round(free_at - now)))})
        self._free_at[path] = free_at + 1
        return None

    def post(self, message: dict[str, Any]) -> Answer:
        self.messages.append(message)
        self.say(render(message))
        return Answer(200, "ok")


# -- limits (docs: Block Kit reference)


def fault_of(message: Any) -> str:
    """The code that Slack refuses a message with, "" for a good one."""
    if not isinstance(message, dict):
        return "invalid_payload"
    blocks, text = message.get("blocks", []), message.get("text", "")
    if not isinstance(blocks, list) or not isinstance(text, str):
        return "invalid_payload"
    if not blocks and not text.strip():
        return "no_text"
    return "" if len(blocks) <= MAX_BLOCKS and all(map(is_block, blocks)) else "invalid_blocks"


def is_block(block: Any) -> bool:
    known = isinstance(block, dict) and block.get("type") in CHECKS and is_id(block.get("block_id", "1"))
    return known and CHECKS[block["type"]](block)


def is_header(block: Block) -> bool:
    return is_text(block.get("text"), MAX_HEADER, "plain_text")


def is_section(block: Block) -> bool:
    fields = block.get("fields", [])
    if "text" not in block and not fields:
        return False
    fits = isinstance(fields, list) and len(fields) <= MAX_FIELDS and all(is_text(part, MAX_FIELD) for part in fields)
    return fits and ("text" not in block or is_text(block["text"], MAX_SECTION))


def is_context(block: Block) -> bool:
    elements = block.get("elements")
    return isinstance(elements, list) and 0 < len(elements) <= MAX_ELEMENTS and all(map(is_text, elements))


def is_text(value: Any, limit: int = MAX_SECTION, only: str = "") -> bool:
    """A text object of 1 to `limit` characters."""
    if not isinstance(value, dict) or value.get("type") not in ({only} if only else {"plain_text", "mrkdwn"}):
        return False
    if value["type"] == "plain_text" and "verbatim" in value:
        return False
    return isinstance(value.get("text"), str) and 0 < utf16(value["text"]) <= limit


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID


CHECKS: dict[str, Callable[[Block], bool]] = {
    "header": is_header,
    "section": is_section,
    "context": is_context,
    "divider": lambda block: True,
}


# -- what a reader sees


def texts(message: dict[str, Any]) -> Iterator[str]:
    """Every text of a message, in order, as sent."""
    yield message.get("text", "")
    for block in message.get("blocks", []):
        parts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
        yield from (part["text"] for part in parts if part)


def pings(message: dict[str, Any]) -> list[str]:
    """Whom the message mentions."""
    return [name for text in texts(message) for name in re.findall(r"<([@!](?!date\^)[^>|]*)", text)]


def read(text: str) -> str:
    """A text as it is read: without markup, entities resolved."""
    text = re.sub(r"<!date\^[^|>]*\|([^>]*)>", r"\1", text)
    text = re.sub(r"<(?:[@!#](?:subteam\^)?)([^>|]*)(?:\|[^>]*)?>", r"@\1", text)
    return html.unescape(re.sub(r"^\*([^*\n]+)\*\n", r"\1: ", text))


def render(message: dict[str, Any]) -> str:
    """The message in plain text, a line a text."""
    blocks = message.get("blocks", [])
    lines = list(texts(message))[1 if blocks else 0 :]
    return "\n".join(["-- a message", *(f"   {read(line)}" for line in lines)])


async def main() -> None:
    parser = argparse.ArgumentParser(description="A fake Slack that prints the messages it is sent.")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--rate-limited", action="store_true", help="refuse more than a message a second")
    chosen = parser.parse_args()
    fake = FakeSlack(chosen.rate_limited)
    fake.say = lambda line: print(line, flush=True)
    fake.start(chosen.port)
    print(f"Slack's webhook: {fake.webhook}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print()
