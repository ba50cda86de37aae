"""Fixtures for tests of operators' functions."""

from __future__ import annotations

import asyncio

import pytest

from gateway.operate import traffic


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have long work go on without a rest."""

    async def wait(stop: asyncio.Event, seconds: float) -> None:
        pass

    monkeypatch.setattr(traffic, "wait", wait)
