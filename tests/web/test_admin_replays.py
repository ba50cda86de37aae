"""Replays as jobs of the API: begun, followed, cancelled, and worked on by a gateway."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import orjson
import pytest

from gateway.operate.replay_jobs import ReplayRunner
from gateway.store import Store
from gateway.store.values import Filter
from tests.support.api import Client

pytestmark = pytest.mark.gen_test


async def begin(api: Client, role: str = "operator", **body: Any) -> Any:
    response = await api.ask("POST", "replays", role, body)
    assert response.code == 202, response.body
    job = orjson.loads(response.body)
    assert response.headers["Location"] == f"/api/v1/replays/{job['id']}"
    return job


async def work(api: Client, store: Store, job: int) -> Any:
    """Run a gateway's runner until the job has ended."""
    running = asyncio.ensure_future(ReplayRunner(store, time.time).run())
    while (found := await api.get(f"replays/{job}"))["state"] == "running":
        assert not running.done()
    running.cancel()
    return found


async def count(store: Store) -> Counter[tuple[str, str]]:
    return Counter((row.account, row.state) for row in await store.list_deliveries(Filter(), 99))


async def test_a_replay_runs_until_it_is_done(api: Client, store: Store, dead: dict[str, int]) -> None:
    job = await begin(api, account="bookshop", state="dead")
    assert (job["state"], job["filter"]) == ("running", {"account": "bookshop", "state": "dead"})
    done = await work(api, store, job["id"])
    assert (done["state"], done["deliveries"], done["actor"]) == ("done", 1, "oncall")
    assert done["done"] == done["total"] > 0
    assert done["routes"] == [{"account": "bookshop", "route": "erp", "deliveries": 1}]
    assert (await count(store))["bookshop", "pending"] == 2


@pytest.mark.parametrize(("role", "accounts"), [("tenant", {"bookshop"}), ("account", {"bookshop"})])
async def test_a_role_replays_its_own_only(
    api: Client, store: Store, dead: dict[str, int], role: str, accounts: set[str]
) -> None:
    before = await count(store)
    job = await begin(api, role, state="dead")
    assert {row["account"] for row in (await work(api, store, job["id"]))["routes"]} == accounts
    after = await count(store)
    assert {key for key in after if after[key] != before[key]} == {("bookshop", "pending")}
    assert (await api.get(f"replays/{job['id']}", role))["actor"] in ("acme", "bookshop")


async def test_a_dry_run_counts(api: Client, store: Store, dead: dict[str, int]) -> None:
    before = await count(store)
    job = await begin(api, route="erp", dry_run=True)
    assert (await work(api, store, job["id"]))["deliveries"] == 4
    assert await count(store) == before


async def test_signals_are_replayed_by_id(api: Client, store: Store, dead: dict[str, int]) -> None:
    ids = [dead["bookshop"] - 1, dead["bookshop"]]
    left_alone = await begin(api, signals=ids, dry_run=True)
    again = await begin(api, signals=ids, dry_run=True, again=True)
    await work(api, store, again["id"])
    assert [(await api.get(f"replays/{job['id']}"))["deliveries"] for job in (left_alone, again)] == [1, 2]


async def test_a_replay_by_time_is_kept_with_its_filter(api: Client, store: Store, dead: dict[str, int]) -> None:
    job = await begin(api, since="2020-01-01T00:00:00Z", dry_run=True)
    assert (await work(api, store, job["id"]))["deliveries"] == 4
    assert job["filter"] == {"since": "2020-01-01T00:00:00+00:00"}


async def test_a_foreign_signal_is_not_replayed(api: Client, store: Store, dead: dict[str, int]) -> None:
    job = await begin(api, "account", signals=[dead["printshop"]])
    assert (await work(api, store, job["id"]))["deliveries"] == 0


async def test_a_cancelled_replay_stays_cancelled(api: Client, store: Store, dead: dict[str, int]) -> None:
    job = await begin(api, state="dead")
    cancelled = await api.ask("DELETE", f"replays/{job['id']}")
    assert orjson.loads(cancelled.body)["state"] == "cancelled"
    assert (await api.ask("DELETE", f"replays/{job['id']}")).code == 200
    other = await begin(api, state="dead", dry_run=True)
    await work(api, store, other["id"])
    assert (await count(store))["bookshop", "dead"] == 1


async def test_a_job_that_meets_a_bug_ends(api: Client, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*given: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(store, "advance_replay", fail)
    job = await begin(api, state="dead")
    found = await work(api, store, job["id"])
    assert (found["state"], found["reason"]) == ("failed", "the gateway's log tells more")


@pytest.mark.parametrize("body", [{}, {"dry_run": True}, {"again": True}, {"signals": []}, {"signals": ["x"]}])
async def test_a_replay_of_everything_must_be_meant(api: Client, body: dict[str, Any]) -> None:
    assert (await api.ask("POST", "replays", body=body)).code == 400
