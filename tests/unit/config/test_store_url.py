"""The store's URL: what is taken, and errors that say what to mend, without the password."""

from __future__ import annotations

from typing import Any

import pytest
import voluptuous as vol

from gateway.config.store_url import ENCODE, EXPECTED, passwords_of, store_url
from gateway.errors import ConfigError
from tests.unit.config.folder import Folder

GOOD = {
    "sqlite:///data/gateway.db": "",
    "sqlite:////var/lib/gateway.db": "",
    "sqlite:///~/gateway.db": "",
    "sqlite:///odd [name] 100%.db": "",
    "postgresql://me@db.example.com:5432/x": "",
    "postgresql://me:pw@a:1,[::1]:2,c/x?sslmode=require": "",
    "postgresql://me@[fe80::1%25eth0]:5432/x": "",
    "postgresql:///x?host=/run/postgresql": "",
    "postgresql://me:p%40%5B%5D%2F@h/x": "",
    "postgres://me:pw@h:5432/x": "postgresql://me:pw@h:5432/x",
    "postgres:///x?host=/run/postgresql": "postgresql:///x?host=/run/postgresql",
}
"""Each URL, with the one that the store gets if it is another."""


@pytest.mark.parametrize("url", GOOD)
def test_urls_that_are_taken(url: str) -> None:
    assert store_url(url) == (GOOD[url] or url)


BAD: list[tuple[str, list[Any]]] = [
    (EXPECTED, ["sqlite://data.db", "sqlite:///", "mysql://h/d", "", None, 5, "postgresql://h", "gateway.db"]),
    (f"{EXPECTED}, without the name of a driver", ["postgresql+psycopg://u:s3cret@h/d", "postgres+asyncpg://h/d"]),
    (f"{EXPECTED}, without control characters", ["sqlite:///a\0b.db", "sqlite:///a\nb.db", "postgresql://u:s3\n@h/d"]),
    (f"{EXPECTED}, without spaces", ["postgresql://u:pw@h/d e", "postgresql://h /d"]),
    (
        f"{EXPECTED}; an IPv6 address is written [::1], and a port is a number from 1 to 65535",
        [
            "postgresql://[h/d",
            "postgresql://h]/d",
            "postgresql://[h]/d",
            "postgresql://[::1/d",
            "postgresql://::1/d",
            "postgresql://[::1]]:5/d",
            "postgresql://h:0/d",
            "postgresql://a:1,b:x/d",
            "postgresql://h:65536/d",
            "postgresql://u:s3cret@[zz]/d",
        ],
    ),
    (
        ENCODE,
        [
            "postgresql://u:s3[cret@h/d",
            "postgresql://u:s3]cret@h/d",
            "postgresql://u:[s3cret]@h/d",
            "postgresql://u:s3@cret@h/d",
            "postgresql://u:s3 cret@h/d",
            "postgres://u[:s3cret@h/d",
        ],
    ),
    (f"{EXPECTED}; {ENCODE}", ["postgresql://u:s3/cret@h/d", "postgresql://u:s3#cret@h/d", "postgresql://u:s3?cret@h"]),
    (
        f"a % is not followed by two hex digits; {ENCODE}",
        ["postgresql://u:s3%cret@h/d", "postgresql://u:s3cret%@h/d", "postgresql://u:s3%zzcret@h/d", "postgres://h/d%"],
    ),
]


@pytest.mark.parametrize(("message", "value"), [(message, value) for message, bad in BAD for value in bad])
def test_urls_that_are_refused(message: str, value: Any) -> None:
    with pytest.raises(vol.Invalid) as caught:
        store_url(value)
    assert caught.value.msg == message


@pytest.mark.parametrize(
    "value", [value for _, bad in BAD for value in bad if isinstance(value, str) and "s3" in value]
)
@pytest.mark.parametrize("given", ["plain", "env"])
def test_an_error_has_file_and_line_and_no_password(folder: Folder, value: str, given: str) -> None:
    text = "!env URL" if given == "env" else '"' + value.replace("\n", "\\n").replace("\0", "\\0") + '"'
    with pytest.raises(ConfigError) as caught:
        folder.load(f"store:\n  url: {text}\n", env={"URL": value})
    assert "gateway.yaml:2: store.url: " in str(caught.value)
    assert "s3" not in str(caught.value)


def test_passwords_are_known_as_written_and_decoded() -> None:
    url = "postgresql://me:p%40ss@h/x?password=query%20word&sslmode=require"
    assert set(passwords_of(url)) == {"p%40ss", "p@ss", "query word"}
    assert set(passwords_of("postgresql://me:pw@a,[::1]:2/x")) == {"pw"}
    assert list(passwords_of("postgresql://me@h/x")) == []
    assert list(passwords_of("sqlite:///a:b@c.db")) == []
