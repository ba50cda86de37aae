"""Services that Apprise knows, with Apprise's own logging switched off. Everything here blocks."""

from __future__ import annotations

import logging
import re
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
    """One URL's service. `label` names its kind and its place in the list, without its secrets."""

    def __init__(self, url: str, number: int) -> None:
        asset = apprise.AppriseAsset(app_id="CloudSignal", app_desc="CloudSignal Gateway", app_url="")
        self._apprise = apprise.Apprise(asset=asset)
        self._apprise.add(url)
        self.label = f"urls[{number}] ({self._apprise[0].service_name})"

    def send(self, message: Message, seconds: float) -> str:
        """Send a message. Return "" if the service took it, else the known reason."""
        result = self._apprise.notify(
            body=message.body,
            title=message.title,
            notify_type=message.kind,
            body_format=apprise.NotifyFormat.TEXT,
            timeout=seconds,
        )
        if result:
            return ""
        # Apprise's own texts may repeat the answer, which may hold secrets, so only the status is taken from them.
        codes = [code for entry in result.logs() for code in re.findall(r"error=(\d{3})\b", entry.message)]
        return f"answered {codes[-1]}" if codes else "did not take it"


def is_known(url: str) -> bool:
    """Return True if Apprise knows the URL's scheme and can read the URL."""
    return apprise.Apprise.instantiate(url) is not None
