"""Checks of Webhook API keys over all accounts: none is valid for two, and none ends unnoticed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from gateway.config.document import Document, Place
from gateway.config.settings import Config, KeyPlace
from gateway.errors import ConfigError, Problem
from gateway.model import Key

ENDS_SOON = timedelta(days=14)
"""Time before the end of a key from which it is announced: enough to enter a new one at Cloudprinter."""


class KeyPlaces:
    """The keys of all files. A key must not stand twice: one account's sender could post to another's endpoint."""

    def __init__(self) -> None:
        self.places: list[KeyPlace] = []
        self._first: dict[bytes, KeyPlace] = {}

    def add(self, document: Document, place: Place, account: str, keys: Sequence[Key]) -> None:
        """Note an account's keys. `place` is that of its `keys`. A key that is noted already is reported."""
        for index, key in enumerate(keys):
            here = KeyPlace(account, key, index, document.file, document.line((*place, index)))
            self.places.append(here)
            first = self._first.setdefault(key.digest, here)
            if first is not here:
                document.report((*place, index), describe_twice(first, account))
            if key.label in (earlier.label for earlier in keys[:index]):
                message = f"two keys of the account have the label {key.label!r}, which logs and listings show"
                document.report((*place, index), message)


def describe_twice(first: KeyPlace, account: str) -> str:
    where = f"keys[{first.index}] in {first.file}:{first.line}"
    if first.account == account:
        return f"this key is also {where}; remove one of the two"
    return f"the account {first.account} has this key too, {where}; each account needs a key of its own"


def review(config: Config, now: datetime) -> list[Problem]:
    """Return a configuration's warnings. Raises ConfigError if all keys of an account have ended."""
    if ended := list(find_ended_accounts(config.key_places, now)):
        raise ConfigError(ended)
    return [*config.warnings, *find_key_ends(config.key_places, now)]


def find_ended_accounts(places: Iterable[KeyPlace], now: datetime) -> Iterator[Problem]:
    """Yield an error for each account whose keys have all ended: each of its signals is answered 401."""
    for account, group in groupby(places, lambda place: place.account):
        keys = list(group)
        ends = [place.key.expires for place in keys if place.key.expires and place.key.expires <= now]
        if len(ends) == len(keys):
            message = f"every key has ended, the last at {show(max(ends))}: add a valid one"
            yield Problem(keys[0].file, keys[0].line, f"accounts.{account}.keys", message)


def find_key_ends(places: Iterable[KeyPlace], now: datetime) -> Iterator[Problem]:
    """Yield a warning for each key that has ended, or will within `ENDS_SOON`."""
    for place in places:
        expires = place.key.expires
        if expires is None or expires > now + ENDS_SOON:
            continue
        label = f"the key {place.key.label!r}"
        message = f"{label} ended at {show(expires)}" if expires <= now else f"{label} ends at {show(expires)}"
        yield Problem(place.file, place.line, f"accounts.{place.account}.keys[{place.index}]", message)


def show(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
