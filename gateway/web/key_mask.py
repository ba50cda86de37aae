"""Keys that senders put into a URL: masked before a path is logged, also keys of which only the digest is known."""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import unquote, unquote_plus

from gateway.keys import MASKED_FROM, hash_key
from gateway.model import MASK, Account

LONGEST = 512
"""Characters of a path that are looked at. Hashing all of a long one would let strangers use up the CPU."""
SHOWN = 64
"""Characters of a path that are logged."""
MOST_SEPARATORS = 12
"""Separators in the path that is shown. The 300 texts between 12 of them are hashed in 0.2 ms."""
SEPARATOR = re.compile(r"[/?&=;:,@+ \"'()<>\[\]{}|]")
LIKE_A_KEY = re.compile(r"[0-9A-Fa-f]{32,}")
"""A key in the vendor's form. It is masked also where it stands amid other letters, or is none of ours."""
SEGMENT = re.compile(r"(?:(?!\*\*\*)[^/?&=;:])+")
"""A part of a path that a sender could have put a key into, without what is masked already."""
SHORTEST_KEY = 16
"""Characters. A segment of so many may be a key with a letter too many or in the other case, which no digest finds."""
STRAY = string.punctuation + string.whitespace + "\0"
"""Characters around a key that are no part of it, such as a full stop or a line break."""


class KeyMask:
    """Masks the keys of `accounts` in paths. A key that a reload has removed stays masked."""

    def __init__(self, accounts: Callable[[], Mapping[str, Account]]) -> None:
        self._accounts = accounts
        self._known: Mapping[str, Account] = {}
        self._digests: set[bytes] = set()

    def path(self, path: str) -> str:
        """Return the start of a path, as sent, without keys."""
        if len(path) > LONGEST:
            path = path[:LONGEST].rpartition("/")[0]  # not the last segment: a cut key has no known digest
        self.learn()
        return self._mask(path)[:SHOWN]

    def account(self, name: str) -> str:
        """Return the account that a path names, or the start of it without keys if there is no such account."""
        return name if name in self._accounts() else self.path(name)

    def learn(self) -> None:
        """Remember the keys of the present accounts, before others take their place."""
        accounts = self._accounts()
        if accounts is not self._known:
            self._known = accounts
            self._digests.update(key.digest for account in accounts.values() for key in account.keys)

    def _mask(self, path: str) -> str:
        for form in map(shorten, forms(path)):
            if found := [text for text in parts(form) if hash_key(text) in self._digests]:
                longest_first = sorted(found, key=len, reverse=True)
                path = re.sub("|".join(map(re.escape, longest_first)), MASK, form)
                break
        return SEGMENT.sub(self._mask_segment, LIKE_A_KEY.sub(MASK, shorten(path)))

    def _mask_segment(self, match: re.Match[str]) -> str:
        """Mask a segment that is a decorated key, or is long and no plain words. A configured account is shown."""
        text = match[0]
        if text in self._known:
            return text
        if any(hash_key(form) in self._digests for form in bare_forms(text)):
            return MASK
        return MASK if len(text) >= SHORTEST_KEY and re.search(r"[0-9A-Z]", text) else text


def shorten(text: str) -> str:
    """Return a text up to the separator behind the last one that is shown."""
    ends = [match.start() for match in SEPARATOR.finditer(text)]
    return text[: ends[MOST_SEPARATORS]] if len(ends) > MOST_SEPARATORS else text


def parts(text: str) -> Iterator[str]:
    """Yield the texts between any two separators, since a key may hold some."""
    if not SEPARATOR.search(text):
        yield text
        return
    found = [at for match in SEPARATOR.finditer(text) for at in match.span()]
    points = sorted({0, *found, len(text)})
    yield from (text[start:end] for start, end in itertools.combinations(points, 2) if end - start >= MASKED_FROM)


def forms(text: str) -> Iterator[str]:
    """Yield a text as sent, decoded, and decoded twice, as some clients and proxies encode again."""
    yield text
    if "%" in text or "+" in text or not text.isascii():
        # The path was read as Latin-1, so that no byte is lost.
        once = unquote(text.encode("latin-1", "replace").decode("utf-8", "replace"))
        yield from (once, unquote(once), unquote_plus(text), unquote_plus(once))


def bare_forms(text: str) -> Iterator[str]:
    """Yield a decoded segment without stray characters at its ends, also without the ending of a file's name."""
    for form in forms(text):
        bare = form.strip(STRAY)
        yield bare
        yield bare.rpartition(".")[0]
