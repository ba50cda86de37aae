"""The store's contract: an accepted signal is there again, however the process ended."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from gateway.model import RetryAt
from gateway.store.values import Filter
from tests.contract.store_case import LEASE, NOW, Backend, accept, claim, finish, ids, numbered, states
from tests.support.factory import ACCOUNT
from tests.support.ledger import read_ledger

ACCEPTER = """
import asyncio, sys
import structlog
from tests.contract.store_case import Backend, accept, numbered

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

async def run(caller, store):
    for number in range(caller, 10**6, 8):
        accepted = await accept(store, numbered(number, order=str(number % 50)), ("erp", "export"))
        sys.stdout.write(f"{accepted.signal_id} {number}\\n")
        sys.stdout.flush()

async def main():
    async with Backend(sys.argv[1]).open(exclusive=True) as store:
        await asyncio.gather(*(run(caller, store) for caller in range(8)))

asyncio.run(main())
"""


@pytest.mark.gen_test
async def test_everything_is_found_again_after_a_close(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(4):
            await accept(store, numbered(number, order=str(number)), unrouted=("alerts",))
        one, two, _ = await claim(store, limit=3)
        await finish(store, [one], state={(ACCOUNT, "erp"): {"position": 1}})
        await finish(store, [two], RetryAt(NOW + 1000, "down"))
        before = (
            await read_ledger(store),
            await store.list_signals(Filter(), 10),
            await store.list_deliveries(Filter(), 10),
        )
    async with backend.open() as store:
        assert (
            await read_ledger(store),
            await store.list_signals(Filter(), 10),
            await store.list_deliveries(Filter(), 10),
        ) == before
        assert await store.read_sink_state(ACCOUNT, "erp") == {"position": 1}
        assert ids(await claim(store)) == [4]
        assert ids(await claim(store, NOW + LEASE)) == [3, 4]
        assert [attempt.reason for attempt in (await store.read_attempts(2))["erp"]] == ["down"]
        assert (await accept(store, numbered(0, order="0"))).duplicate


@pytest.mark.gen_test
async def test_two_stores_on_one_database_see_each_others_work(backend: Backend) -> None:
    async with backend.open(exclusive=True) as serving, backend.open() as command:
        await asyncio.gather(
            *(accept(store, numbered(n)) for n, store in enumerate([serving, command] * 10)),
        )
        assert len(await states(command)) == 20
        [delivery] = await claim(serving)
        assert await claim(command) == []
        assert await finish(command, [delivery]) == 1


def test_accepted_signals_survive_a_kill(backend: Backend) -> None:
    command = [sys.executable, "-c", ACCEPTER, backend.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(300)]
        process.kill()
        # What was already in the pipe was told too; a line cut short was not.
        told += [line for line in process.stdout if line.endswith("\n")]
    asyncio.run(check_survivors(backend, {int(number): int(signal_id) for signal_id, number in map(str.split, told)}))


async def check_survivors(backend: Backend, told: dict[int, int]) -> None:
    assert len(told) >= 300
    async with backend.open(exclusive=True) as store:
        kept = {int(row.signal.item or -1): row.signal.id for row in await store.list_signals(Filter(), 10**6)}
        assert told.items() <= kept.items()
        deliveries = await states(store)
        assert {(signal_id, route) for signal_id in kept.values() for route in ("erp", "export")} == set(deliveries)
        number, signal_id = next(iter(told.items()))
        assert (await accept(store, numbered(number, order=str(number % 50)))).duplicate
        played = 0
        while claimed := await claim(store, limit=1000):
            played += await finish(store, claimed)
        assert played == len(kept)
        assert (await read_ledger(store))[ACCOUNT, "erp"]["delivered"] == len(kept)
        assert signal_id in kept.values()
