"""Options of the acceptance tests, and the real Tryton."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.tryton_server import Build, NotInstallable, Tryton


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=25, help="how often the crash tests kill the gateway")
    parser.addoption("--postgres-kills", type=int, default=4, help="the same, on PostgreSQL")
    parser.addoption("--fleet-events", type=int, default=6, help="number of fleet events")
    parser.addoption("--crash-seed", type=int, default=1, help="random seed of the crash tests")
    parser.addoption("--tryton", default="8.0", help="the series of the real Tryton: 8.0 or 7.0")


@pytest.fixture(scope="session")
def tryton(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tryton]:
    """A server on its own database, which has products and users but no sales."""
    series = request.config.getoption("--tryton")
    build = Build(series)
    try:
        build.ensure()
    except NotInstallable as error:
        reason = f"Tryton {series} can't be installed here: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    server = Tryton(build, series, tmp_path_factory.mktemp("tryton"))
    try:
        server.start()
        yield server
    finally:
        server.stop()
