"""Secrets are masked in each spelling that a target may give them, and nothing else is."""

from __future__ import annotations

import base64
import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from gateway.sink import mask_secrets

SECRETS = [
    "FRAGODOO5apikey\"x'<&>",
    "back\\slash\\\\end",
    "pässwörd-日本-𝄞",
    "a b+c%20d",
    "tab\tline\nend",
    "$^.*(?)[x]{2}|",
    "0123456789abcdef0123456789abcdef",
    "&amp;&quot;",
    "'\"'\"",
]
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda s: json.dumps(s)[1:-1],
    "JSON in UTF-8": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "JSON in JSON": lambda s: json.dumps(json.dumps(s)[1:-1])[1:-1],
    "JSON in JSON in JSON": lambda s: json.dumps(json.dumps(json.dumps(s)[1:-1])[1:-1])[1:-1],
    "upper-case JSON escapes": lambda s: "".join(f"\\u{unit.hex().upper()}" for unit in units(s)),
    "repr": lambda s: repr(s)[1:-1],
    "repr beside a quote": lambda s: repr(f'"{s}')[2:-1],
    "ascii": lambda s: ascii(s)[1:-1],
    "URL": quote,
    "URL without slashes": lambda s: quote(s, safe=""),
    "form": quote_plus,
    "lower-case URL": lambda s: "".join(f"%{octet:02x}" for octet in s.encode()),
    "URL in URL": lambda s: quote(quote(s, safe=""), safe=""),
    "HTML": html.escape,
    "HTML text": lambda s: html.escape(s, quote=False),
    "HTML twice": lambda s: html.escape(html.escape(s)),
    "HTML by numbers": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "HTML by hexadecimal numbers": lambda s: "".join(f"&#x{ord(c):X};" for c in s),
    "JSON of HTML": lambda s: json.dumps(html.escape(s))[1:-1],
}


def units(text: str) -> list[bytes]:
    raw = text.encode("utf-16-be")
    return [raw[at : at + 2] for at in range(0, len(raw), 2)]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_masked_in_each_spelling(spelling: str, secret: str) -> None:
    spelled = SPELLINGS[spelling](secret)
    assert mask_secrets(f'key "{spelled}" is wrong', [secret]) == 'key "***" is wrong'


@pytest.mark.parametrize(
    "text", ["FRAGODOO5apikey", "&quot;x", "\\\\u0022", "a sentence", "%22%27", "basic authentication"]
)
def test_other_text_stays(text: str) -> None:
    assert mask_secrets(text, [*SECRETS[:1], ""]) == text


def test_the_longer_of_two_secrets_is_masked_first() -> None:
    assert mask_secrets("abcd-1234 abcd", ["abcd", "abcd-1234"]) == "*** ***"


@pytest.mark.parametrize("scheme", ["Basic", "basic", "Bearer"])
def test_credentials_that_were_sent_back_are_masked(scheme: str) -> None:
    coded = base64.b64encode(b"user:p4ssword").decode()
    assert mask_secrets(f"bad header: {scheme} {coded}, sorry", []) == f"bad header: {scheme} ***, sorry"


@pytest.mark.parametrize("text", ["\\" * 20_000, "%25" * 7_000, "&amp;" * 4_000, "&#0000000" * 2_000, "aaaa" * 5_000])
def test_no_text_makes_the_search_long(text: str) -> None:
    before = time.process_time()
    mask_secrets(text, ["a" * 40 + "b", "\\" * 20 + "b", *SECRETS])
    assert time.process_time() - before < 2
