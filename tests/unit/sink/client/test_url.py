"""URLs in parts: one reading of a URL, for the check of its address and for the call."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import RetryLater
from gateway.sink.client.url import parse_url


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "header"),
    [
        ("http://Desk.example", "desk.example", 80, "/", "desk.example"),
        ("https://desk.example:443/a", "desk.example", 443, "/a", "desk.example"),
        ("https://desk.example:8443/a?b=c%20d&e", "desk.example", 8443, "/a?b=c%20d&e", "desk.example:8443"),
        ("http://[::1]:8080/", "::1", 8080, "/", "[::1]:8080"),
        ("http://[fe80::1%25eth0]/", "fe80::1%eth0", 80, "/", "[fe80::1]"),
        ("http://bücher.example/ü?q=ß x", "xn--bcher-kva.example", 80, "/%C3%BC?q=%C3%9F%20x", "xn--bcher-kva.example"),
        ("http://127.0.0.1./", "127.0.0.1.", 80, "/", "127.0.0.1."),
        ("http://１２７.０.０.１/", "127.0.0.1", 80, "/", "127.0.0.1"),
        ("http://desk.example/a#b", "desk.example", 80, "/a", "desk.example"),
    ],
)
def test_a_url_has_its_parts(url: str, host: str, port: int, path: str, header: str) -> None:
    target = parse_url(url)
    assert (target.host, target.port, target.path, target.host_header) == (host, port, path, header)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "desk",
        "ftp://desk/",
        "http://",
        "http://:80/",
        "http://a:b/",
        "http://a:99999/",
        "http://[::1/",
        "http://a b/",
    ],
)
def test_a_url_that_is_none_is_named_without_showing_it(url: str) -> None:
    with pytest.raises(RetryLater, match=r"^the target's URL is not valid$"):
        parse_url(url)


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=30), st.text(st.characters(codec=None, exclude_categories=[]), max_size=30))
def test_any_text_is_a_target_or_not_valid(host: str, rest: str) -> None:
    with contextlib.suppress(RetryLater):
        target = parse_url(f"http://{host}/{rest}")
        shown = f"{target.host_header}{target.path}{target.authorization}"
        assert shown.isascii()
        assert not set(shown) & set("\r\n\0")
        assert " " not in target.host_header + target.path
