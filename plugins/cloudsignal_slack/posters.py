"""The two ways to post to Slack: an incoming webhook, or a bot's token."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from cloudsignal_slack.answers import EMPTY_MESSAGE, code_of, judge, judge_call
from cloudsignal_slack.message import Message
from cloudsignal_slack.threads import Thread
from gateway.sink import Check, Misconfigured, Response, RetryLater, SinkError

PostJson = Callable[[str, Mapping[str, Any], Mapping[str, str]], Awaitable[Response]]
"""Posts JSON to a URL, with headers."""
Now = Callable[[], float]


class Poster(Protocol):
    """A way to post. `workspace` identifies the posters that a pause of Slack's stops together; it holds no secret."""

    workspace: Hashable

    def rate_key(self, channel: str) -> str:
        """Return a key of the channel's rate limit, without a secret."""
        ...

    async def post(self, channel: str, message: Message, thread: Thread | None, broadcast: bool) -> Thread | None:
        """Post a message, in a thread or not. Return the thread that it is in or begins, None for a webhook.

        Raises SinkError, or ThreadGone.
        """
        ...

    async def check(self) -> Check: ...


class WebhookPoster:
    """A poster to one channel, without threads. A webhook can't change its messages."""

    def __init__(self, url: str, post_json: PostJson, now: Now) -> None:
        parts = urlsplit(url)
        team = parts.path.split("/")[2:3]
        self.workspace: Hashable = ("webhook", parts.netloc, *team)
        self._hash = hash_of(url)
        self._url = url
        self._post_json = post_json
        self._now = now

    def rate_key(self, channel: str) -> str:
        return self._hash

    async def post(self, channel: str, message: Message, thread: Thread | None, broadcast: bool) -> Thread | None:
        judge(await self._post_json(self._url, message, {}), self._now())
        return None

    async def check(self) -> Check:
        """Send an empty message. Slack refuses it, so nothing is posted, but the answer shows an unknown webhook."""
        try:
            response = await self._post_json(self._url, {"text": ""}, {})
            if response.status == 400 and code_of(response) in EMPTY_MESSAGE:
                return Check(
                    True, ("Slack knows the webhook; the first message will show if its channel takes messages",)
                )
            judge(response, self._now())
        except (Misconfigured, RetryLater) as error:
            return Check(False, (str(error),))
        except SinkError as error:
            return Check(True, (f"{error}: Slack is reachable, but the webhook can't be tested without posting",))
        return Check(True, ("the webhook answers",))


class BotPoster:
    """A poster to any channel that the bot may use, with threads. `call` raises as `judge_call` does."""

    def __init__(self, token: str, api_url: str, post_json: PostJson, now: Now) -> None:
        self.workspace: Hashable = ("bot", api_url, hash_of(token))
        self._token = token
        self._api_url = api_url
        self._post_json = post_json
        self._now = now

    def rate_key(self, channel: str) -> str:
        return channel

    async def post(self, channel: str, message: Message, thread: Thread | None, broadcast: bool) -> Thread | None:
        placed: dict[str, Any] = {"channel": channel}
        if thread is not None:
            placed = {"channel": thread.channel, "thread_ts": thread.ts, "reply_broadcast": broadcast}
        body = await self.call("chat.postMessage", {**message, **placed, "unfurl_links": False, "unfurl_media": False})
        # If a thread's root was deleted, Slack may post the reply to the channel. Only the missing thread_ts tells it.
        root = body["message"].get("thread_ts") if isinstance(body.get("message"), dict) else None
        return Thread(str(body.get("channel") or channel), str(root or body.get("ts") or ""))

    async def update(self, thread: Thread, message: Message) -> None:
        """Replace the message at a thread's root."""
        await self.call("chat.update", {**message, "channel": thread.channel, "ts": thread.ts})

    async def call(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a method of the Web API and return the answer's body."""
        return judge_call(await self._send(method, arguments), self._now())

    async def check(self) -> Check:
        """Ask Slack for the token's owner and scopes."""
        try:
            response = await self._send("auth.test", {})
            judge_call(response, self._now())
        except SinkError as error:
            return Check(False, (str(error),))
        scopes = {scope.strip() for scope in response.headers.get("x-oauth-scopes", "").split(",")} - {""}
        if scopes and "chat:write" not in scopes:
            return Check(False, ("the app lacks the scope chat:write",))
        return Check(True, ("Slack knows the token; the first message will show if the channel takes messages",))

    async def _send(self, method: str, arguments: Mapping[str, Any]) -> Response:
        return await self._post_json(f"{self._api_url}/{method}", arguments, {"Authorization": f"Bearer {self._token}"})


def hash_of(secret: str) -> str:
    """Return a hash that stands for a secret in keys and logs."""
    return hashlib.blake2b(secret.encode(), digest_size=16).hexdigest()
