"""Failures to connect: which a start waits for, and which are errors at once."""

from __future__ import annotations

import pytest
from peewee import OperationalError

from gateway.errors import GatewayError
from gateway.store.contract import Settings
from gateway.store.failures import passes_by_itself
from gateway.store.postgres.open import parameters_of


@pytest.mark.parametrize(
    ("message", "waits"),
    [
        ("failed to resolve host 'db.invalid': [Errno -2] Name or service not known", True),
        ("failed to resolve host 'password-store': [Errno -3] Temporary failure in name resolution", True),
        ('connection to server at "certificate.example", port 5432 failed: Connection refused', True),
        ('connection to server at "db", port 5432 failed: FATAL:  the database system is starting up', True),
        ('connection to server at "db", port 5432 failed: FATAL:  database "timeout" does not exist', False),
        ('connection to server at "db" failed: FATAL:  password authentication failed for user "later"', False),
        ('invalid sslmode value: "some"', False),
    ],
)
def test_a_name_in_a_message_decides_nothing(message: str, waits: bool) -> None:
    assert passes_by_itself(OperationalError(message)) is waits


@pytest.mark.parametrize("host", ["a..b", ".", "x" * 64])
def test_a_host_that_can_not_be_looked_up_is_named(host: str) -> None:
    with pytest.raises(GatewayError, match="no name that can be looked up"):
        parameters_of(Settings(f"postgresql://gate@{host}/db"))


@pytest.mark.parametrize("host", ["db", "bücher.example", "127.0.0.1", "[::1]", "a.example,b.example", ""])
def test_other_hosts_are_taken(host: str) -> None:
    parameters_of(Settings(f"postgresql://gate@{host}/db"))
    parameters_of(Settings(f"postgresql:///db?host=/{'x' * 70}"))
