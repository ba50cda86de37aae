"""How a route speaks to Slack: by an incoming webhook, or as a bot."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from cloudsignal_slack.answers import NOTHING_TO_POST, code_of, judge, judge_call
from cloudsignal_slack.message import Message
from cloudsignal_slack.threads import Thread
from gateway.sink import Check, Misconfigured, Response, RetryLater, SinkError

Post = Callable[[str, Mapping[str, Any], Mapping[str, str]], Awaitable[Response]]
"""POST JSON to a URL, with headers."""
Now = Callable[[], float]


class Voice(Protocol):
    """`workspace` names what shares Slack's pauses. No secret is in it."""

    workspace: Hashable

    def channel(self, name: str) -> str:
        """What shares a turn: names no secret either."""
        ...

    async def say(self, channel: str, message: Message, thread: Thread | None, broadcast: bool) -> Thread | None:
        """Post a message, in a thread or not; the thread it is in or begins, if Slack says so. Raises SinkError, or
        ThreadGone."""
        ...

    async def check(self) -> Check: ...


class Webhook:
    """One channel, no threads. A webhook can't change what it has posted."""

    def __init__(self, url: str, post: Post, now: Now) -> None:
        parts = urlsplit(url)
        team = parts.path.split("/")[2:3]
        self.workspace: Hashable = ("webhook", parts.netloc, *team)
        self._name = digest_of(url)
        self._url = url
        self._post = post
        self._now = now

    def channel(self, name: str) -> str:
        return self._name

    async def say(self, channel: str, message: Message, thread: Thread | None, broadcast: bool) -> Thread | None:
        judge(await self._post(self._url, message, {}), self._now())
        return None

    async def check(self) -> Check:
        """Send a message with nothing in it, which Slack refuses: nothing is posted, yet an unknown webhook shows."""
        try:
            response = await self._post(self._url, {"text": ""}, {})
            if response.status == 400 and code_of(response) in NOTHING_TO_POST:
                return Check(True, ("Slack knows the webhook; that its channel takes messages shows with the first",))
            judge(response, self._now())
        except (Misconfigured, RetryLater) as error:
            return Check(False, (str(error),))
        except SinkError as error:
            return Check(True, (f"{error}: reachable, but the webhook can't be tested without posting",))
        return Check(True, ("the webhook answers",))


class Bot:
    """Any channel that the bot may post to, with threads. `call` raises as `judge_call` does."""

    def __init__(self, token: str, api_url: str, post: Post, now: Now) -> None:
        self.workspace: Hashable = ("bot", api_url, digest_of(token))
        self._token = token
        self._api_url = api_url
        self._post = post
        self._now = now

    def channel(self, name: str) -> str:
        return name

    async def say(self, channel: str, message: Message, thread: Thread | None, broadcast: bool) -> Thread | None:
        placed: dict[str, Any] = {"channel": channel}
        if thread is not None:
            placed = {"channel": thread.channel, "thread_ts": thread.ts, "reply_broadcast": broadcast}
        body = await self.call("chat.postMessage", {**message, **placed, "unfurl_links": False, "unfurl_media": False})
        # Where a thread's root was deleted, Slack may post the reply to the channel, and says so by no thread_ts only.
        root = body["message"].get("thread_ts") if isinstance(body.get("message"), dict) else None
        return Thread(str(body.get("channel") or channel), str(root or body.get("ts") or ""))

    async def change(self, thread: Thread, message: Message) -> None:
        """Put another message in the place of a thread's root."""
        await self.call("chat.update", {**message, "channel": thread.channel, "ts": thread.ts})

    async def call(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return judge_call(await self._send(method, arguments), self._now())

    async def check(self) -> Check:
        """Ask who the token is, and what it may do."""
        try:
            response = await self._send("auth.test", {})
            judge_call(response, self._now())
        except SinkError as error:
            return Check(False, (str(error),))
        scopes = {scope.strip() for scope in response.headers.get("x-oauth-scopes", "").split(",")} - {""}
        if scopes and "chat:write" not in scopes:
            return Check(False, ("the app lacks the scope chat:write",))
        return Check(True, ("Slack knows the token; that the channel takes messages shows with the first",))

    async def _send(self, method: str, arguments: Mapping[str, Any]) -> Response:
        return await self._post(f"{self._api_url}/{method}", arguments, {"Authorization": f"Bearer {self._token}"})


def digest_of(secret: str) -> str:
    return hashlib.blake2b(secret.encode(), digest_size=16).hexdigest()
