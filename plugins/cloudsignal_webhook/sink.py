"""The sink: one signed POST per delivery, to permitted addresses only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudsignal_webhook.addresses import Address, is_public, is_within
from cloudsignal_webhook.answers import judge, secret_parts
from cloudsignal_webhook.message import build_body, sign
from cloudsignal_webhook.options import EVERYWHERE, Settings, decode
from gateway.sink import (
    ALL,
    Check,
    Context,
    Delivery,
    HttpSink,
    Misconfigured,
    Response,
    RetryLater,
    SinkError,
    options_of,
)


class WebhookSink(HttpSink):
    """Forwards signals as Standard Webhooks. README.md shows the requests and their verification."""

    name = "webhook"
    summary = "signals forwarded to a URL, signed as Standard Webhooks"
    signals = ALL
    order = "lane"
    sample = {"url": "!file secrets/hook-url", "secrets": "[!file secrets/hook-secret]"}
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
        self._judge(await self._send("POST", delivery.key, build_body(delivery)))

    async def check(self) -> Check:
        """Send a signed HEAD, which posts nothing. The report says no more than its answer shows."""
        try:
            response = await self._send("HEAD", "check", b"")
            if response.status in (404, 405, 501) or response.status in range(200, 300):
                said = f"the receiver is there (HEAD is answered {response.status})"
                return Check(True, (f"{said}; the first signal will show if it takes them",))
            self._judge(response)
        except (RetryLater, Misconfigured) as error:
            return Check(False, (str(error),))
        except SinkError as error:
            return Check(True, (f"the receiver is there, but refuses a HEAD ({error})",))
        return Check(True)

    def _judge(self, response: Response) -> None:
        secrets = [secret.reveal() for secret in self.webhook.secrets]
        judge(response, self.context.now(), [*secrets, *secret_parts(self.webhook.url.reveal())])

    async def _send(self, method: str, key: str, body: bytes) -> Response:
        headers = sign(key, int(self.context.now()), body, self._secrets)
        headers["Content-Type"] = "application/json"
        return await self.request_status(method, self.webhook.url.reveal(), data=body or None, headers=headers)
