"""The API of a real gateway: true to its OpenAPI document, and its replays go on after a restart."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.store import Settings, open_store
from gateway.store.values import Filter
from tests.support.api import CONFIG, FOREIGN, TOKENS, fill, fill_alerts, write_config
from tests.support.process import Gateway

MAIN = (
    CONFIG.replace("server: {", "server: {listen: 127.0.0.1:0, ")
    .replace("admin:\n", "admin:\n  listen: 127.0.0.1:0\n")
    .replace("bad_keys_per_minute: 5", "bad_keys_per_minute: 100000")
)


async def fill_store() -> None:
    """Fill the store of the working directory, and begin a replay that no gateway has worked on yet."""
    store = open_store(Settings("sqlite:///gateway.db"))
    try:
        await fill(store)
        await fill_alerts(store)
        await store.begin_replay(Filter(account=FOREIGN, state="dead"), False, "operator", time.time())
    finally:
        await store.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of a gateway with signals of each state."""
    folder = tmp_path_factory.mktemp("gateway")
    write_config(folder, MAIN)
    here = Path.cwd()
    os.chdir(folder)
    try:
        asyncio.run(fill_store())
    finally:
        os.chdir(here)
    with Gateway(folder) as gateway:
        yield f"{gateway.admin_url}/api/v1"


def read(url: str) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKENS['operator']}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_a_replay_goes_on_after_a_restart(url: str) -> None:
    job = read(f"{url}/replays")[0]
    for _ in range(600):
        if job["state"] != "running":
            break
        time.sleep(0.1)
        job = read(f"{url}/replays/{job['id']}")
    assert (job["state"], job["deliveries"]) == ("done", 1)


def test_the_api_is_true_to_its_document(url: str, tmp_path: Path) -> None:
    """All checks of schemathesis: valid and invalid requests, other methods, wrong tokens, each answer's shape.

    The stream is left out, because it does not end.
    """
    words = "--exclude-path /stream --checks all --phases coverage,fuzzing --max-examples 4 --max-time 25"
    header = f"Authorization: Bearer {TOKENS['operator']}"
    schemathesis = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--header", header]
    run = subprocess.run(
        [*schemathesis, "--generation-deterministic", *words.split()],
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert "No issues found" in run.stdout
