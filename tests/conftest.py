"""What all rings share."""

from __future__ import annotations

import asyncio
import os
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.support.pooler import Pooler
    from tests.support.postgres import Server

# Else the first IOLoop of a test has asyncio make a loop to fall back to, which nobody closes.
asyncio.set_event_loop(None)

# How long an example takes is the machine's matter, which has other work too.
settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")


@cache
def start_postgres() -> Server:
    """The server of this run, from the first test that needs it."""
    try:
        from tests.support.postgres import Server
    except ImportError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no PostgreSQL to test on: {error}")
    return Server()


@pytest.fixture(scope="session")
def postgres() -> Server:
    return start_postgres()


@pytest.fixture
def postgres_url(postgres: Server) -> str:
    """An empty place on it."""
    return postgres.make_place()


@pytest.fixture(scope="session")
def pooler(postgres: Server) -> Pooler:
    """A pgbouncer before it."""
    from tests.support.pooler import Pooler

    return Pooler(postgres)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if start_postgres.cache_info().currsize:
        terminalreporter.write_line(f"PostgreSQL {start_postgres().version}")
