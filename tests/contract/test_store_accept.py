"""The store's contract: an accepted signal is kept once, in order, exactly as it came."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway import exact_json
from gateway.errors import StoreBusy, StoreError
from gateway.model import identity_of
from gateway.store.values import Accepted, ClaimRequest, Filter, Refused
from tests.contract.store_case import NOW, Backend, accept, claim, finish, numbered, states
from tests.support.factory import ACCOUNT, make_signal
from tests.support.ledger import read_ledger

pytestmark = pytest.mark.gen_test

ANY = Filter()

PAYLOADS: Mapping[str, Any] = {
    "unicode": {"message": "Größe 中文 \U0001f4e6 \u2028 \u00a0 a\u0301"},
    "escapes": {"message": "a\u0000b\\u0000 \" ' \n\t\x1f ]}"},
    "nested": {"a": {"b": [{"c": []}, {}, [None, True, False, ""]]}},
    "floats": {"list": [0.1, -0.0, 1e-300, 1.7976931348623157e308, math.pi, 5e-324]},
    "ints": {"list": [0, -(2**63), 2**63 - 1, 2**64 - 1]},
    "digits": exact_json.loads('{"list": [9400111899223197428490, 1e400, 24.10, 1.00, -0], "text": "1.00"}'),
    "odd names": {"": 1, "a.b": 2, "$": 3, "0": 4, 'quo"te': 5},
    "deep": {"a": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]},
}


async def test_a_signal_is_kept_with_its_deliveries(backend: Backend) -> None:
    signal = numbered(1)
    async with backend.open() as store:
        assert await accept(store, signal, ("erp", "export"), unrouted=("alerts",)) == Accepted(1, duplicate=False)
        [row] = await store.list_signals(ANY, 10)
        assert row.signal == dataclasses.replace(signal, id=1)
        assert (row.deliveries, row.unrouted) == (2, ("alerts",))
        assert await states(store) == {(1, "erp"): "pending", (1, "export"): "pending"}


async def test_a_retry_is_a_duplicate_and_writes_nothing(backend: Backend) -> None:
    later = dataclasses.replace(numbered(1), received_at=datetime(2027, 1, 1, tzinfo=UTC))
    async with backend.open() as store:
        await accept(store, numbered(1))
        assert await accept(store, later, ("erp", "other")) == Accepted(0, duplicate=True)
        assert len(await store.list_signals(ANY, 10)) == 1
        assert await states(store) == {(1, "erp"): "pending"}


async def test_many_at_once_are_one_batch_and_each_lane_has_one_head(backend: Backend) -> None:
    """More signals than a statement takes at once, with lanes and a retry across the statements."""
    signals = [numbered(number, order=str(number % 7)) for number in range(87)]
    async with backend.open() as store:
        answers = await asyncio.gather(*(accept(store, signal, ("erp", "export")) for signal in [*signals, signals[0]]))
        assert [answer.signal_id for answer in answers] == [*range(1, 88), 0]
        heads = await claim(store, limit=200, routes=("erp", "export"))
        assert [(head.route, head.signal.id) for head in heads] == [
            (route, number) for route in ("erp", "export") for number in range(1, 8)
        ]
        assert len(await states(store)) == 2 * 87


async def test_of_equal_signals_at_once_the_first_is_kept(backend: Backend) -> None:
    async with backend.open() as store:
        signals = [numbered(number) for number in (1, 2, 1, 1, 2)]
        answers = await asyncio.gather(*(accept(store, signal) for signal in signals))
        assert [answer.duplicate for answer in answers] == [False, False, True, True, True]
        assert len(await store.list_signals(ANY, 10)) == 2


async def test_the_same_order_type_and_time_with_other_content_is_a_second_signal(backend: Backend) -> None:
    async with backend.open() as store:
        first = await accept(store, numbered(1, tracking="TRK1"))
        second = await accept(store, numbered(1, tracking="TRK2"))
        assert (first.signal_id, second.signal_id, second.duplicate) == (1, 2, False)


async def test_accounts_share_no_identities(backend: Backend) -> None:
    async with backend.open() as store:
        for account in ("bookshop", "printery"):
            assert not (await accept(store, numbered(1, account=account))).duplicate


async def test_a_signal_without_a_time_is_deduplicated_too(backend: Backend) -> None:
    timeless = make_signal("Unheard", datetime=None, id=0)
    epoch = make_signal("Unheard", datetime="1970-01-01T00:00:00+00:00", id=0)
    async with backend.open() as store:
        answers = [await accept(store, signal) for signal in (timeless, epoch, timeless, epoch)]
        assert [answer.duplicate for answer in answers] == [False, False, True, True]
        rows = await store.list_signals(ANY, 10)
        assert [row.signal.occurred_at for row in rows] == [datetime(1970, 1, 1, tzinfo=UTC), None]


@pytest.mark.parametrize(
    "sent",
    [
        "0001-01-01T00:00:00.000001+00:00",
        "1969-12-31T23:59:59.999999+00:00",
        "2026-11-20T10:11:12.123457+00:00",
        "9999-12-31T23:59:59.999999+00:00",
    ],
)
async def test_times_are_exact(backend: Backend, sent: str) -> None:
    signal = numbered(1, datetime=sent)
    async with backend.open() as store:
        await accept(store, signal)
        assert (await accept(store, signal)).duplicate
        [row] = await store.list_signals(ANY, 10)
        assert row.signal.occurred_at == datetime.fromisoformat(sent)


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
async def test_the_payload_comes_back_as_it_was(backend: Backend, payload: dict[str, Any]) -> None:
    signal = dataclasses.replace(numbered(1), payload=payload, identity=identity_of(ACCOUNT, payload))
    async with backend.open() as store:
        await accept(store, signal)
        assert (await accept(store, signal)).duplicate
        [row] = await store.list_signals(ANY, 10)
        [delivery] = await claim(store)
        for kept in (row.signal, delivery.signal):
            assert repr(kept.payload) == repr(payload)
            assert exact_json.dumps(kept.payload) == exact_json.dumps(payload)
            assert kept == dataclasses.replace(signal, id=1)


async def test_many_at_once_are_kept_in_the_order_of_the_calls(backend: Backend) -> None:
    async with backend.open() as store:
        signals = [numbered(number, order=str(number % 7)) for number in range(500)]
        answers = await asyncio.gather(*(accept(store, signal) for signal in signals))
        assert [answer.signal_id for answer in answers] == sorted(answer.signal_id for answer in answers)
        kept = [row.signal.identity for row in await store.list_signals(ANY, 1000)]
        assert kept[::-1] == [signal.identity for signal in signals]


async def test_a_signal_may_have_nowhere_to_go(backend: Backend) -> None:
    async with backend.open() as store:
        assert (await accept(store, numbered(1), (), unrouted=("erp",))).signal_id == 1
        assert await states(store) == {}


async def test_one_that_fails_fails_alone(backend: Backend) -> None:
    async with backend.open() as store:
        calls = [accept(store, numbered(number), ("erp", "erp") if number == 3 else ("erp",)) for number in range(8)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(answers[3], StoreError)
        assert [type(answer) for answer in answers[:3] + answers[4:]] == [Accepted] * 7
        assert len(await store.list_signals(ANY, 10)) == len(await states(store)) == 7
        assert (await accept(store, numbered(3))).duplicate is False


async def test_a_value_that_no_database_takes_fails_alone_and_is_not_shown(backend: Backend) -> None:
    odd = dataclasses.replace(numbered(1), payload={"number": 2**70})
    async with backend.open() as store:
        failed, fine = await asyncio.gather(accept(store, odd), accept(store, numbered(2)), return_exceptions=True)
        assert isinstance(failed, StoreError)
        assert str(2**70) not in str(failed)
        assert isinstance(fine, Accepted)


async def test_cancelling_the_wait_does_not_undo_the_write(backend: Backend) -> None:
    async with backend.open() as store:
        waiting = asyncio.ensure_future(accept(store, numbered(1)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await accept(store, numbered(1))).duplicate


async def test_a_full_queue_refuses_senders_but_not_the_gateways_own_writes(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1))
    async with backend.open(queue=0) as store:
        with pytest.raises(StoreBusy):
            await accept(store, numbered(2))
        with pytest.raises(StoreBusy):
            await store.quarantine(Refused(ACCOUNT, NOW, "{", {}))
        assert await finish(store, await claim(store)) == 1
        assert len(await store.list_signals(ANY, 10)) == 1


async def test_a_closed_store_refuses(backend: Backend) -> None:
    async with backend.open() as store:
        waiting = [asyncio.ensure_future(accept(store, numbered(number))) for number in range(20)]
        await asyncio.sleep(0)
        await store.close()
        assert [answer.signal_id for answer in await asyncio.gather(*waiting)] == list(range(1, 21))
        for call in (
            accept(store, numbered(99)),
            store.claim([ClaimRequest(ACCOUNT, "erp", 1)], NOW, NOW),
            read_ledger(store),
            store.read_next_due([]),
        ):
            with pytest.raises(StoreError, match="closed"):
                await call
        await store.close()
    async with backend.open() as store:
        assert len(await store.list_signals(ANY, 100)) == 20


async def test_a_refused_request_is_kept_once(backend: Backend) -> None:
    first = Refused(ACCOUNT, NOW, '{"type": 1}\x00\ud800', {"type": "expected text"})
    async with backend.open() as store:
        again = [dataclasses.replace(first, received_at=NOW + number) for number in range(3)]
        assert len(set(await asyncio.gather(*map(store.quarantine, again)))) == 1
        other = await store.quarantine(Refused("printery", NOW, first.body, {}))
        await store.quarantine(Refused(ACCOUNT, NOW, "[]", {"": "expected an object"}))
        rows = await store.list_quarantined(Filter(), 10)
        assert [(row.account, row.received_at) for row in rows] == [(ACCOUNT, NOW), ("printery", NOW), (ACCOUNT, NOW)]
        assert rows[1].id == other
        assert rows[2].body == '{"type": 1}\u2400?'
        assert rows[2].errors == {"type": "expected text"}
        assert [row.body for row in await store.list_quarantined(Filter(account=ACCOUNT), 1)] == ["[]"]
