"""Names of accounts and routes that an operator may mistype."""

import pytest

from gateway.operate.names import describe_unknown
from gateway.store.values import Filter

KNOWN = {"bookshop": ["export", "alerts"], "posters": ["mail"], "mugs": []}


@pytest.mark.parametrize(
    ("account", "route", "text"),
    [
        (None, None, ""),
        ("bookshop", None, ""),
        ("bookshop", "alerts", ""),
        (None, "mail", ""),
        ("mugs", None, ""),
        ("bokshop", None, "there is no account 'bokshop'; did you mean 'bookshop'?"),
        ("zzz", "export", "there is no account 'zzz'; known: bookshop, posters, mugs"),
        ("BOOKSHOP", None, "there is no account 'BOOKSHOP'; did you mean 'bookshop'?"),
        (None, "exprt", "there is no route 'exprt'; did you mean 'export'?"),
        ("bookshop", "mail", "the account bookshop has no route 'mail'; known: export, alerts"),
        ("mugs", "mail", "the account mugs has no route 'mail'"),
    ],
)
def test_an_unknown_name_is_told_with_the_right_one(account: str | None, route: str | None, text: str) -> None:
    assert describe_unknown(KNOWN, Filter(account=account, route=route)) == text
