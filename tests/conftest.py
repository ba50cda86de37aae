"""Fixtures that all tests share."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.support.pooler import Pooler
    from tests.support.postgres import Server

# Else the first IOLoop of a test has asyncio make a loop to fall back to, which nobody closes.
asyncio.set_event_loop(None)

# pytest-xdist sets it for its workers, and commands would lay out their tables for a terminal.
os.environ.pop("COLUMNS", None)

# No deadline: the machine may be busy.
settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")


REMARKS = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    # An xdist worker has no output of its own: what is in `workeroutput` goes to the process that prints.
    config.stash[REMARKS] = getattr(config, "workeroutput", {}).setdefault("remarks", [])


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Set collected tests aside: ten thousand stay until the end, and garbage collection need not look at them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="module", autouse=True)
def no_leak() -> Iterator[None]:
    """Collect garbage after each file, so that a socket left open fails the file that left it, and no later one."""
    yield
    gc.collect()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[REMARKS] += getattr(node, "workeroutput", {}).get("remarks", [])  # none where it crashed


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in dict.fromkeys(config.stash[REMARKS]):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def remark(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Says a line at the end of the run."""
    return pytestconfig.stash[REMARKS].append


@pytest.fixture(scope="session")
def postgres(remark: Callable[[str], None]) -> Server:
    """The server of this process, from the first test that needs it."""
    try:
        from tests.support.postgres import Server
    except ImportError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no PostgreSQL to test on: {error}")
    server = Server()
    remark(f"PostgreSQL {server.version}")
    return server


@pytest.fixture
def postgres_url(postgres: Server) -> str:
    """An empty place on it."""
    return postgres.make_place()


@pytest.fixture(scope="session")
def pooler(postgres: Server) -> Pooler:
    """A pgbouncer before it."""
    from tests.support.pooler import Pooler

    return Pooler(postgres)
