"""Services that Apprise knows, each called on a thread, with Apprise's own logging switched off."""

from __future__ import annotations

import asyncio
import logging
import re
from concurrent.futures import Executor
from dataclasses import dataclass

import apprise

for name in ("apprise", "urllib3", "requests_oauthlib", "oauthlib"):
    # Their logs hold URLs, paths and answers with a service's tokens, in forms that no redactor knows.
    logging.getLogger(name).propagate = False
    logging.getLogger(name).addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Message:
    """A message; `kind` is Apprise's: info, warning or failure."""

    title: str
    body: str
    kind: apprise.NotifyType


class Service:
    """One URL's service. `label` names its kind and its place in the list, without its secrets.

    It gets one message at a time. A call that does not end can't be stopped; it keeps one of the `threads`, and the
    service gets no further message until it ends.
    """

    def __init__(self, url: str, number: int, threads: Executor) -> None:
        asset = apprise.AppriseAsset(app_id="CloudSignal", app_desc="CloudSignal Gateway", app_url="")
        self._apprise = apprise.Apprise(asset=asset)
        self._apprise.add(url)
        self.label = f"urls[{number}] ({self._apprise[0].service_name})"
        self._threads = threads
        self._sending: asyncio.Future[str] | None = None

    async def send(self, message: Message, seconds: float) -> str:
        """Send a message. Return "" if the service took it within so many seconds, else the known reason."""
        if self._sending and not (await asyncio.wait({self._sending}, timeout=seconds))[0]:
            return "still has an earlier message in hand"
        self._sending = asyncio.get_running_loop().run_in_executor(self._threads, self._notify, message)
        done, _ = await asyncio.wait({self._sending}, timeout=seconds)
        return self._sending.result() if done else f"gave no result within {seconds:g} s"

    def _notify(self, message: Message) -> str:
        """Send a message, and block until the result."""
        result = self._apprise.notify(
            body=message.body,
            title=message.title,
            notify_type=message.kind,
            body_format=apprise.NotifyFormat.TEXT,
        )
        if result:
            return ""
        # Apprise's own texts may repeat the answer, which may hold secrets, so only the status is taken from them.
        codes = [code for entry in result.logs() for code in re.findall(r"error=(\d{3})\b", entry.message)]
        return f"answered {codes[-1]}" if codes else "did not take it"


def is_known(url: str) -> bool:
    """Return True if Apprise knows the URL's scheme and can read the URL."""
    return apprise.Apprise.instantiate(url) is not None
