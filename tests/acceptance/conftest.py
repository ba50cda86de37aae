"""Options of the acceptance ring."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=25, help="how often the crash tests kill the gateway")
    parser.addoption("--crash-seed", type=int, default=1, help="what the crash tests draw their moments from")
