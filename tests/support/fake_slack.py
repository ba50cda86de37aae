"""A fake of Slack's incoming webhooks and Web API, with the documented limits and errors. To see messages, run:

python -m tests.support.fake_slack --port 8090
"""

from __future__ import annotations

import argparse
import html
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from tests.support.stub import Answer, Request, Stub, run_until_interrupted

PATH = "/services/T0/B0/demo"
TOKEN = "xoxb-0-0-demo"
CHANNEL, OTHER = "C0ALERTS1", "C0ERRORS1"
MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_SECTION = 3000
MAX_FIELD = 2000
MAX_FIELDS = 10
MAX_ELEMENTS = 10
MAX_ID = 255
MAX_TEXT = 40_000

Block = dict[str, Any]
Message = dict[str, Any]


@dataclass
class Channel:
    """A channel of the Web API. `posts` are its messages by `ts`, with the traces of deleted ones."""

    name: str
    archived: bool = False
    member: bool = True
    posts: dict[str, Message] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    def delete(self, ts: str) -> None:
        """Delete a message. If it has replies, a trace of it stays."""
        self.deleted.add(ts)
        if not any(post.get("thread_ts") == ts for post in self.posts.values()):
            del self.posts[ts]


class FakeSlack(Stub):
    """`messages` are the posted ones in their present form. `paths` are the existing webhooks. `refusals` maps a
    webhook's path or a method of the Web API to an error's answer.

    `rate_limited` allows one message a second to each channel, by `clock`, after `burst` more.
    """

    def __init__(self, rate_limited: bool = False, burst: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.messages: list[Message] = []
        self.paths = {PATH}
        self.token = TOKEN
        self.scopes = {"chat:write"}
        self.channels = {CHANNEL: Channel("print-alerts"), OTHER: Channel("print-errors")}
        self.refusals: dict[str, Answer] = {}
        self.calls: list[tuple[str, Message]] = []
        self.rate_limited = rate_limited
        self.burst = burst
        self.clock = clock
        self.say: Callable[[str], None] = lambda _: None
        self._free_at: dict[str, float] = {}

    @property
    def webhook(self) -> str:
        return self.url + PATH

    @property
    def api_url(self) -> str:
        return f"{self.url}/api"

    def refuse(self, status: int, code: str) -> None:
        """Answer each message to the webhook with an error, until the error is removed from `refusals`."""
        self.refusals[PATH] = Answer(status, code)

    def refuse_call(self, method: str, code: str) -> None:
        """Refuse the next calls of a method of the Web API."""
        self.refusals[method] = failure(code)

    def answer(self, request: Request) -> Answer:
        if request.path.startswith("/api/"):
            return self.call(request.path.removeprefix("/api/"), request)
        if request.path not in self.paths:
            return Answer(404, "no_service")
        if request.method != "POST":
            return Answer(400, "invalid_payload")
        message = parsed(request)
        if code := fault_of(message):
            return Answer(400, code)
        refused = self.refusals.get(request.path) or self.throttle(request.path, Answer(429, "rate_limited"))
        return refused or self.post(message)

    def throttle(self, channel: str, refusal: Answer) -> Answer | None:
        """Return a 429 with the seconds to wait if the channel's last message is too recent."""
        if not self.rate_limited:
            return None
        now = self.clock()
        free_at = max(now, self._free_at.get(channel, now))
        if free_at - now > self.burst:
            return replace(refusal, headers={"Retry-After": str(max(1, round(free_at - now)))})
        self._free_at[channel] = free_at + 1
        return None

    def post(self, message: Message) -> Answer:
        self.messages.append(message)
        self.say(render(message))
        return Answer(200, "ok")

    # -- the Web API (docs: chat.postMessage, chat.update, auth.test)

    def call(self, method: str, request: Request) -> Answer:
        message = parsed(request)
        if code := self.fault_of_request(method, request.headers.get("Authorization", ""), message):
            return failure(code)
        if method in self.refusals:
            return self.refusals[method]
        if method == "auth.test":
            granted = {"X-OAuth-Scopes": ",".join(sorted(self.scopes))}
            return Answer(200, {"ok": True, "team_id": "T0", "user_id": "U0"}, granted)
        self.calls.append((method, message))
        return self.update(message) if method == "chat.update" else self.post_message(message)

    def fault_of_request(self, method: str, authorization: str, message: Any) -> str:
        faults = {
            "not_authed": not authorization,
            "invalid_auth": authorization != f"Bearer {self.token}",
            "unknown_method": method not in ("auth.test", "chat.postMessage", "chat.update"),
            "invalid_json": not isinstance(message, dict),
            "missing_scope": method != "auth.test" and "chat:write" not in self.scopes,
        }
        return next((code for code, wrong in faults.items() if wrong), "")

    def post_message(self, message: Message) -> Answer:
        id, channel = self.find_channel(message.get("channel"))
        root = message.get("thread_ts")
        if code := self.fault_of_call(channel, message):
            return failure(code)
        assert channel
        if root is not None and root not in channel.posts:
            message.pop("thread_ts")  # no error: it goes to the channel
        if refused := self.throttle(id, Answer(429, {"ok": False, "error": "ratelimited"})):
            return refused
        ts = f"1763633472.{len(self.messages):06}"
        channel.posts[ts] = message
        self.post(message)
        return Answer(200, {"ok": True, "channel": id, "ts": ts, "message": message})

    def update(self, message: Message) -> Answer:
        """Update a message. The channel must be given by its id; a name is refused."""
        channel = self.channels.get(str(message.get("channel")))
        if code := self.fault_of_call(channel, message):
            return failure(code)
        assert channel
        if message.get("ts") not in channel.posts or message["ts"] in channel.deleted:
            return failure("message_not_found")
        post = channel.posts[message["ts"]]
        post.update({name: message[name] for name in ("text", "blocks") if name in message})
        self.say(render(post))
        return Answer(200, {"ok": True, "channel": message["channel"], "ts": message["ts"], "text": post["text"]})

    def find_channel(self, name: Any) -> tuple[str, Channel | None]:
        found = [(id, c) for id, c in self.channels.items() if name in (id, c.name, f"#{c.name}")]
        return found[0] if found else ("", None)

    def fault_of_call(self, channel: Channel | None, message: Message) -> str:
        if channel is None:
            return "channel_not_found"
        if channel.archived:
            return "is_archived"
        if not channel.member and "chat:write.public" not in self.scopes:
            return "not_in_channel"
        if len(message.get("text", "")) > MAX_TEXT:
            return "msg_too_long"
        return fault_of(message)


def failure(code: str) -> Answer:
    """Return an error of the Web API. Its status is 200."""
    return Answer(200, {"ok": False, "error": code})


def parsed(request: Request) -> Any:
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return None


# -- limits (docs: Block Kit reference)


def fault_of(message: Any) -> str:
    """Return Slack's error code for a message, "" for a valid one."""
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
    """Return True for a text object of 1 to `limit` characters."""
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
    """Yield all texts of a message, in order, as sent."""
    yield message.get("text", "")
    for block in message.get("blocks", []):
        parts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
        yield from (part["text"] for part in parts if part)


def pings(message: dict[str, Any]) -> list[str]:
    """Return the mentions in a message."""
    return [name for text in texts(message) for name in re.findall(r"<([@!](?!date\^)[^>|]*)", text)]


def read(text: str) -> str:
    """Return a text as a reader sees it: without markup, with entities resolved."""
    text = re.sub(r"<!date\^[^|>]*\|([^>]*)>", r"\1", text)
    text = re.sub(r"<https?://[^>|]*\|([^>]*)>", r"\1", text)
    text = re.sub(r"<(?:[@!#](?:subteam\^)?)([^>|]*)(?:\|[^>]*)?>", r"@\1", text)
    return html.unescape(re.sub(r"^\*([^*\n]+)\*\n", r"\1: ", text))


def render(message: dict[str, Any]) -> str:
    """Return the message in plain text, with one line per text."""
    blocks = message.get("blocks", [])
    lines = list(texts(message))[1 if blocks else 0 :]
    place = f" in the thread of {message['thread_ts']}" if "thread_ts" in message else ""
    return "\n".join([f"-- a message{place}", *(f"   {read(line)}" for line in lines)])


async def main() -> None:
    parser = argparse.ArgumentParser(description="A fake Slack that prints the messages it is sent.")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--rate-limited", action="store_true", help="refuse more than a message a second")
    chosen = parser.parse_args()
    fake = FakeSlack(chosen.rate_limited)
    fake.say = lambda line: print(line, flush=True)
    fake.start(chosen.port)
    print(f"Slack's webhook: {fake.webhook}", flush=True)
    print(f"Slack's Web API: {fake.api_url}, token {fake.token}, channel {CHANNEL}", flush=True)


if __name__ == "__main__":
    run_until_interrupted(main)
