"""The sink: one signed POST per delivery, to permitted addresses only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudsignal_webhook.addresses import Address, is_public, is_within
from cloudsignal_webhook.message import build_body, sign
from cloudsignal_webhook.options import EVERYWHERE, Settings, decode
from gateway.sink import (
    ALL,
    Check,
    Context,
    Delivery,
    HttpSink,
    Misconfigured,
    Permanent,
    Response,
    RetryLater,
    SinkError,
    options_of,
)

MISCONFIGURED_STATUSES = frozenset({401, 403, 404, 405, 407, 410, 421, 451})
"""Statuses that refuse the sender or the URL, so all deliveries until a person acts. With 410 a receiver says that it
wants no more signals (Standard Webhooks)."""


class WebhookSink(HttpSink):
    """Forwards signals as Standard Webhooks. README.md shows the requests and their verification."""

    name = "webhook"
    summary = "signals forwarded to a URL, signed as Standard Webhooks"
    signals = ALL
    order = "lane"
    options = options_of(Settings)
    read_timeout = 20.0

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        super().__init__(options, context)
        self.webhook = Settings(**options)
        self._secrets = [decode(secret.reveal()) for secret in self.webhook.secrets]

    def permits(self, address: Address) -> bool:
        """Return True for public addresses, and for those that the route allows."""
        return is_public(address) or is_within(address, self.webhook.allow_private)

    @property
    def is_restricted(self) -> bool:
        """False with `allow_private: true`: then names may be left to a proxy."""
        return not set(EVERYWHERE) <= set(self.webhook.allow_private)

    async def deliver(self, delivery: Delivery) -> None:
        """Post the signal. With any 2xx the receiver has taken it, whatever follows the answer's headers."""
        judge(await self._send("POST", delivery.key, build_body(delivery)), self.context.now())

    async def check(self) -> Check:
        """Send a signed HEAD, which posts nothing. The report says no more than its answer shows."""
        try:
            response = await self._send("HEAD", "check", b"")
            if response.status in (404, 405, 501) or response.status in range(200, 300):
                said = f"the receiver is there (HEAD is answered {response.status})"
                return Check(True, (f"{said}; the first signal will show if it takes them",))
            judge(response, self.context.now())
        except (RetryLater, Misconfigured) as error:
            return Check(False, (str(error),))
        except SinkError as error:
            return Check(True, (f"the receiver is there, but refuses a HEAD ({error})",))
        return Check(True)

    async def _send(self, method: str, key: str, body: bytes) -> Response:
        headers = sign(key, int(self.context.now()), body, self._secrets)
        headers["Content-Type"] = "application/json"
        return await self.request_head(method, self.webhook.url.reveal(), data=body or None, headers=headers)


def judge(response: Response, now: float) -> None:
    """Return if the receiver took the signal; else raise RetryLater, Permanent or Misconfigured."""
    status = response.status
    if 200 <= status < 300:
        return
    response.raise_for_retry(now)
    if status >= 500:
        raise RetryLater(f"answered {status}", response.retry_after(now))
    if status < 400:
        raise Misconfigured(f"answered {status}, a redirect, which is not followed: set url to the final address")
    if status in MISCONFIGURED_STATUSES:
        raise Misconfigured(f"answered {status}: look at url and secrets, or ask the receiver")
    raise Permanent(f"answered {status}: the receiver does not take this signal")
