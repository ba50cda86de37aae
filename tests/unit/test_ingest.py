"""Taking signals in: authentication, rates, storage, and the events for observers."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import exact_json, keys
from gateway.errors import (
    InvalidSignal,
    ShuttingDown,
    StoreBusy,
    StoreError,
    TooManyRequests,
    Unauthorized,
)
from gateway.in_flight import InFlightRequests
from gateway.ingest import Ingest, Receipt
from gateway.metrics import Observer, guard
from gateway.model import Account, Key
from gateway.store.values import Target
from tests.support.accounts import make_account, make_accounts, make_route
from tests.support.fake_store import FakeStore
from tests.support.payloads import EXAMPLES, KEY, OTHER_KEY, example, request

pytestmark = pytest.mark.gen_test
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ADDRESS = "203.0.113.5"


class Heard(Observer):
    """An observer that records its events by name."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or name in ("told", "exposition"):
            return super().__getattribute__(name)
        return lambda *values: self.told.append((name, *values))


class Desk:
    """An Ingest with a store and an observer that record."""

    def __init__(self, accounts: dict[str, Account] | None = None, **options: Any) -> None:
        self.store = FakeStore()
        self.heard = Heard()
        self.woken: list[tuple[str, list[str]]] = []
        self.held: list[tuple[str, str]] = []
        self.ingest = Ingest(
            make_accounts() if accounts is None else accounts,
            self.store,
            observer=guard(self.heard),
            on_accepted=lambda account, routes: self.woken.append((account, list(routes))),
            on_held=lambda account, reference: self.held.append((account, reference)),
            **options,
        )

    async def post(
        self, body: bytes | dict[str, Any], account: str = "bookshop", address: str = ADDRESS, after: float = 0.0
    ) -> Receipt:
        raw = body if isinstance(body, bytes) else request(body)
        return await self.ingest.receive(account, raw, address, NOW + timedelta(seconds=after))

    async def refused(self, kind: type[Exception], *args: Any, **options: Any) -> Any:
        with pytest.raises(kind) as caught:
            await self.post(*args, **options)
        assert type(caught.value) is kind
        return caught.value


# -- accepted signals


@pytest.mark.parametrize("name", EXAMPLES)
async def test_a_signal_is_written_with_its_deliveries(name: str) -> None:
    desk = Desk()
    receipt = await desk.post(EXAMPLES[name])
    alert = name in ("ItemError", "ItemCanceled", "CloudprinterOrderCanceled")
    (write,) = desk.store.writes
    assert write.signal.payload == EXAMPLES[name]
    assert write.signal.received_at == NOW
    assert write.targets == (Target("erp", "123456780000"), *([Target("alerts", None)] if alert else []))
    assert write.unrouted == (() if alert else ("alerts",))
    assert not write.hold
    assert receipt == Receipt(write.signal, 1, duplicate=False, held=False, key="main")
    assert desk.woken == [("bookshop", ["erp", "alerts"] if alert else ["erp"])]
    assert desk.heard.told == [("signal_accepted", "bookshop")]


async def test_a_retry_is_a_duplicate() -> None:
    desk = Desk()
    await desk.post(example())
    receipt = await desk.post(example(order=123456780000), after=60)
    assert receipt.duplicate
    assert receipt.id == 0
    assert len(desk.store.writes) == len(desk.woken) == 1
    assert desk.heard.told == [("signal_accepted", "bookshop"), ("signal_duplicated", "bookshop")]


async def test_the_same_signal_of_another_account_is_no_duplicate() -> None:
    desk = Desk()
    await desk.post(example())
    receipt = await desk.post(request(example(), OTHER_KEY), "printshop")
    assert not receipt.duplicate
    assert [signal.account for signal in desk.store.signals] == ["bookshop", "printshop"]


async def test_no_route_is_woken_if_none_asks_for_the_signal() -> None:
    routes = {"erp": make_route(signals=frozenset({"ItemError"})), "off": make_route("off", enabled=False)}
    desk = Desk({"bookshop": make_account(routes=routes)})
    await desk.post(example("ItemPacked"))
    (write,) = desk.store.writes
    assert (write.targets, write.unrouted) == ((), ("erp",))
    assert desk.woken == []


async def test_an_order_that_the_account_does_not_know_is_held() -> None:
    desk = Desk(make_accounts(unknown_orders="hold"))
    receipt = await desk.post(example())
    assert receipt.held
    assert desk.store.writes[0].hold
    assert desk.woken == [], "a held signal has no pending delivery"
    assert desk.held == [("bookshop", example()["order_reference"])]
    assert desk.heard.told == [("signal_accepted", "bookshop"), ("signal_held", "bookshop")]


async def test_a_signal_that_names_no_order_is_not_held() -> None:
    desk = Desk(make_accounts(unknown_orders="hold", incomplete="accept"))
    assert not (await desk.post({"type": "ItemReturned"})).held
    assert not (await desk.post(example(order="", order_reference=None))).held
    assert (await desk.post(example(order=""))).held
    assert [write.hold for write in desk.store.writes] == [False, False, True]


async def test_an_unknown_type_is_accepted() -> None:
    desk = Desk()
    receipt = await desk.post({"type": "ItemReturned", "anything": [1]})
    assert not receipt.known_type
    (write,) = desk.store.writes
    assert write.targets == (Target("erp", None),)
    assert ("type_unknown", "bookshop") in desk.heard.told


async def test_an_account_may_quarantine_unknown_types() -> None:
    desk = Desk(make_accounts(unknown_types="reject"))
    error = await desk.refused(InvalidSignal, {"type": "ItemReturned"})
    assert list(error.fields) == ["type"]
    assert desk.store.writes == []
    assert [refused.errors for refused in desk.store.refused] == [error.fields]
    await desk.post(example())


async def test_accounts_can_be_replaced() -> None:
    desk = Desk()
    desk.ingest.accounts = {"bookshop": make_account(key="a-renewed-key")}
    await desk.refused(Unauthorized, example())
    await desk.post(request(example(), "a-renewed-key"))


async def test_a_broken_observer_breaks_nothing() -> None:
    desk = Desk()
    desk.heard.told = None  # type: ignore[assignment]
    await desk.post(example())
    assert len(desk.store.writes) == len(desk.woken) == 1


# -- authentication


@pytest.mark.parametrize("key", [..., None, "", OTHER_KEY, KEY.upper(), 13, True, [KEY], {"key": KEY}], ids=repr)
@pytest.mark.parametrize("account", ["bookshop", "nobody"])
async def test_a_wrong_key_and_no_account_look_the_same(key: object, account: str) -> None:
    desk = Desk()
    error = await desk.refused(Unauthorized, request(example(), key), account)
    assert str(error) == "Wrong or missing key."
    assert desk.store.writes == desk.store.refused == []
    assert desk.heard.told == [("bad_key", "bookshop" if account == "bookshop" else "-")]


@pytest.mark.parametrize("account", ["bookshop", "nobody"])
async def test_a_damaged_body_is_counted_and_its_fault_told_to_the_log_only(account: str) -> None:
    desk = Desk()
    with pytest.raises(Unauthorized) as caught:
        await desk.ingest.receive(account, b"junk", ADDRESS, NOW, "is damaged")
    assert (str(caught.value), caught.value.context) == ("Wrong or missing key.", {"reason": "the body is damaged"})
    label = "bookshop" if account == "bookshop" else "-"
    assert desk.heard.told == [("body_damaged", label), ("bad_key", label)]


async def test_a_damaged_body_with_the_right_key_is_quarantined() -> None:
    desk = Desk()
    with pytest.raises(InvalidSignal) as caught:
        await desk.ingest.receive("bookshop", request(example()), ADDRESS, NOW, "is damaged")
    assert caught.value.fields == {"body": "is damaged"}
    assert [refused.errors for refused in desk.store.refused] == [{"body": "is damaged"}]
    assert desk.store.writes == []


async def test_a_key_is_wrong_for_another_account() -> None:
    desk = Desk()
    await desk.refused(Unauthorized, example(), "printshop")
    await desk.refused(Unauthorized, example(), "nobody")


async def test_a_key_that_has_ended_is_told_to_the_log_only() -> None:
    ended, new = Key(keys.hash_key(OTHER_KEY), "old", NOW), Key(keys.hash_key(KEY), "new")
    desk = Desk({"bookshop": make_account(keys=(new, ended))})
    error = await desk.refused(Unauthorized, request(example(), OTHER_KEY))
    assert error.context == {"key": "old", "reason": "expired key"}
    assert str(error) == str(await desk.refused(Unauthorized, request(example(), "a-wrong-key-of-nobody")))
    assert desk.heard.told == [("bad_key", "bookshop")] * 2
    assert (await desk.post(request(example(), OTHER_KEY), after=-60)).key == "old"


async def test_a_refused_signal_has_the_label_of_its_key() -> None:
    error = await Desk().refused(InvalidSignal, example(order=...))
    assert error.context == {"key": "main"}


async def test_the_last_use_of_each_key_is_taken_once() -> None:
    desk = Desk()
    await desk.post(example())
    await desk.refused(InvalidSignal, example(order=...), after=5)
    await desk.refused(Unauthorized, request(example(), OTHER_KEY), after=9)
    await desk.post(request(example(), OTHER_KEY), "printshop", after=7)
    uses = [(account, key.label, at - NOW.timestamp()) for account, key, at in desk.ingest.take_key_uses()]
    assert uses == [("bookshop", "main", 5), ("printshop", "main", 7)]
    assert desk.ingest.take_key_uses() == []


async def test_an_unknown_account_costs_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    compare = keys.hmac.compare_digest
    desk = Desk()
    for account, key in [("bookshop", OTHER_KEY), ("bookshop", ...), ("nobody", OTHER_KEY), ("nobody", ...)]:
        compared: list[bytes] = []
        monkeypatch.setattr(keys.hmac, "compare_digest", lambda a, b, to=compared: to.append(b) or compare(a, b))
        await desk.refused(Unauthorized, request(example(), key), account)
        counts.append(len(compared))
    assert counts == [4, 4, 4, 4]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"apikey": "' + OTHER_KEY.encode() + b'",'])
async def test_a_broken_body_without_a_right_key_is_not_kept(body: bytes) -> None:
    desk = Desk()
    await desk.refused(Unauthorized, body)
    assert desk.store.refused == []


async def test_many_wrong_keys_from_an_address_get_429_for_a_while() -> None:
    desk = Desk(bad_keys_per_minute=3)
    bad = request(example(), OTHER_KEY)
    for _ in range(3):
        await desk.refused(Unauthorized, bad)
    error = await desk.refused(TooManyRequests, bad)
    assert error.retry_after == pytest.approx(20)
    await desk.refused(TooManyRequests, bad, "nobody")
    await desk.refused(Unauthorized, bad, address="203.0.113.6")
    await desk.refused(Unauthorized, bad, after=20.001)
    await desk.refused(TooManyRequests, bad, after=20.001)


async def test_wrong_keys_are_counted_by_the_network_of_one_ipv6_host() -> None:
    desk = Desk(bad_keys_per_minute=2)
    bad = request(example(), OTHER_KEY)
    for host in ("1", "2"):
        await desk.refused(Unauthorized, bad, address=f"2001:db8:1:2::{host}")
    await desk.refused(TooManyRequests, bad, address="2001:db8:1:2:ffff::3")
    await desk.refused(Unauthorized, bad, address="2001:db8:1:3::1")


async def test_right_keys_from_that_address_are_still_taken() -> None:
    desk = Desk(bad_keys_per_minute=1)
    for kind in (Unauthorized, TooManyRequests, TooManyRequests):
        await desk.refused(kind, request(example(), OTHER_KEY))
    assert not (await desk.post(example())).duplicate


# -- rates


async def test_an_account_has_a_rate() -> None:
    desk = Desk(make_accounts(rate=2.0))
    await desk.post(example(x=1))
    await desk.post(example(x=2))
    error = await desk.refused(TooManyRequests, example(x=3))
    assert error.retry_after == pytest.approx(0.5)
    await desk.post(example(x=3), after=0.501)
    await desk.post(request(example(), OTHER_KEY), "printshop")
    assert len(desk.store.writes) == 4


async def test_a_rate_below_one_lets_one_through() -> None:
    desk = Desk(make_accounts(rate=0.1))
    await desk.post(example())
    error = await desk.refused(TooManyRequests, example())
    assert error.retry_after == pytest.approx(10)


async def test_wrong_keys_do_not_use_up_an_accounts_rate() -> None:
    desk = Desk(make_accounts(rate=1.0))
    for _ in range(5):
        await desk.refused(Unauthorized, request(example(), OTHER_KEY))
    await desk.post(example())


# -- quarantine


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (request(example(order=...)), ["order"]),
        (request(example(order="", item=None, tracking=[])), ["order", "item", "tracking"]),
        (request({}), ["type"]),
        (request({"type": None}), ["type"]),
        (request(example())[:-1], ["body"]),
        (b"[" + request(example()) + b"]", ["body"]),
        (request(example())[:-1] + b', "n": NaN}', ["body"]),
        (request(example())[:-1] + b', "s": "\\ud800"}', ["body"]),
        (request(example())[:-1] + b', "s": "\xff"}', ["body"]),
        (request(example())[:-1] + b', "d": ' + b"[" * 300 + b"]" * 300 + b"}", ["body"]),
        (request(example())[:-1] + b', "d": ' + b"[" * 3000 + b"]" * 3000 + b"}", ["body"]),
    ],
    ids=["missing", "several", "empty", "null", "cut", "array", "nan", "surrogate", "utf8", "deep", "deeper"],
)
async def test_an_invalid_signal_with_a_right_key_is_quarantined(body: bytes, fields: list[str]) -> None:
    desk = Desk()
    error = await desk.refused(InvalidSignal, body)
    assert sorted(error.fields) == sorted(fields)
    (refused,) = desk.store.refused
    assert (refused.account, refused.received_at, refused.errors) == ("bookshop", NOW.timestamp(), error.fields)
    assert KEY not in refused.body
    assert "apikey" not in refused.body
    assert desk.store.writes == desk.woken == []
    assert desk.heard.told == [("signal_quarantined", "bookshop")]


@pytest.mark.parametrize(
    "rest",
    [b', "n": "%s", "d": ' + b"[" * 300 + b"]" * 300 + b"}", b', "n": "%s", NaN', b', "%s": {"apikey": "%s"}, }'],
    ids=["deep", "cut", "a name"],
)
@pytest.mark.parametrize("prefix", [b"\\u%04x", b"\\\\u%04X", b"%%%02x"], ids=["json", "json in json", "url"])
async def test_quarantine_keeps_no_key_however_it_is_escaped(rest: bytes, prefix: bytes) -> None:
    escaped = b"".join(prefix % character for character in KEY.encode())
    desk = Desk()
    body = request({**example(), "order_reference": f"PO {KEY}"})[:-1] + rest.replace(b"%s", escaped)
    # The last `apikey` that can be read is the one that counts.
    await desk.refused(InvalidSignal, body.replace(b'"apikey": "%s"' % escaped, b'"x": 1'))
    (refused,) = desk.store.refused
    assert KEY not in refused.body
    assert escaped.decode() not in refused.body
    assert KEY not in unquote(refused.body.replace("\\\\u00", "%").replace("\\u00", "%"))


async def test_quarantine_keeps_the_whole_payload() -> None:
    desk = Desk()
    payload = example(order=..., extra={"note": "ü", "apikey": KEY})
    await desk.refused(InvalidSignal, payload)
    assert orjson.loads(desk.store.refused[0].body) == example(order=..., extra={"note": "ü"})


async def test_the_last_of_two_keys_counts() -> None:
    desk = Desk()
    twice = b'{"apikey": "%s", ' + request(example(), ...)[1:-1] + b', "apikey": "%s"}'
    await desk.post(twice % (OTHER_KEY.encode(), KEY.encode()))
    await desk.refused(Unauthorized, twice % (KEY.encode(), OTHER_KEY.encode()))
    assert "apikey" not in desk.store.signals[0].payload


async def test_a_byte_order_mark_is_no_harm() -> None:
    desk = Desk()
    await desk.post(b"\xef\xbb\xbf" + request(example()))
    assert desk.store.signals[0].payload == example()


async def test_a_number_that_json_libraries_change_is_kept_as_sent() -> None:
    desk = Desk()
    for number in (b"9400111899223197428490", b"9400111899223197428491", b"1e400", b"24.10", b"24.1"):
        body = request(example())[:-1] + b', "parcel": ' + number + b"}"
        assert not (await desk.post(body)).duplicate
        assert (await desk.post(body)).duplicate
        assert exact_json.dumps(desk.store.signals[-1].payload).endswith(b'"parcel":' + number + b"}")
        await desk.refused(InvalidSignal, body.replace(b'"item"', b'"itme"'))
        kept = desk.store.refused[-1].body
        assert kept.encode().endswith(b'"parcel":' + number + b"}")
        again = await desk.ingest.readmit("bookshop", kept.replace("itme", "item"), NOW)
        assert again.duplicate, "quarantine changed it"


@pytest.mark.parametrize("number", [b"1.0", b"1e400", b"9" * 25])
async def test_a_strangers_numbers_are_read_rounded(monkeypatch: pytest.MonkeyPatch, number: bytes) -> None:
    """A body of 64 KiB of them would cost 20 ms before its key is refused."""
    monkeypatch.setattr(exact_json, "Number", None)
    desk = Desk()
    await desk.refused(Unauthorized, request(example(), OTHER_KEY)[:-1] + b', "n": [' + number + b"]}")


async def test_a_payload_that_only_the_rounding_reader_takes_is_quarantined() -> None:
    desk = Desk()
    body = request(example())[:-1] + b', "n": 1.0, "d": ' + b"[" * 1015 + b"]" * 1015 + b"}"
    error = await desk.refused(InvalidSignal, body)
    assert error.fields == {"body": "nested too deeply"}
    (refused,) = desk.store.refused
    assert KEY not in refused.body
    assert "apikey" not in refused.body


# -- store failures and shutdown


@pytest.mark.parametrize("kind", [StoreError, StoreBusy])
async def test_a_signal_that_can_not_be_written_is_not_accepted(kind: type[StoreError]) -> None:
    desk = Desk()
    desk.store.error = kind()
    await desk.refused(kind, example())
    assert desk.woken == desk.heard.told == []


async def test_a_request_that_can_not_be_quarantined_is_a_store_error() -> None:
    desk = Desk()
    desk.store.error = StoreError()
    await desk.refused(StoreError, example(order=...))
    assert desk.heard.told == []


async def test_a_stopped_ingest_refuses_requests() -> None:
    desk = Desk()
    desk.ingest.stop()
    await desk.refused(ShuttingDown, example())
    await desk.refused(ShuttingDown, request(example(), OTHER_KEY))
    assert desk.store.writes == []
    await desk.ingest.drain()


async def test_drain_waits_for_accepted_requests() -> None:
    desk = Desk()
    desk.store.gate.clear()
    first, second = (asyncio.ensure_future(desk.post(example(x=n))) for n in (1, 2))
    await asyncio.sleep(0)
    desk.ingest.stop()
    drained = asyncio.ensure_future(desk.ingest.drain())
    await asyncio.sleep(0)
    assert not drained.done()
    desk.store.gate.set()
    await drained
    assert [(await task).id for task in (first, second)] == [1, 2]


# -- generated bodies

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**64 - 1) | st.text() | st.sampled_from([KEY, "apikey"])
names = st.sampled_from(["type", "order", "item", "datetime", "apikey", "APIKEY", KEY]) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(names, inner), max_leaves=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(sorted(EXAMPLES)), st.dictionaries(names, values, max_size=4), st.binary(max_size=3), st.data())
def test_no_body_leaves_its_key_in_the_store(name: str, changes: dict[str, Any], junk: bytes, data: Any) -> None:
    body = request({**EXAMPLES[name], **changes, "apikey": KEY})
    at = data.draw(st.integers(0, len(body)))
    body = body[:at] + junk + body[at:]
    desk = Desk()
    # A store that never waits needs no event loop.
    with contextlib.suppress(InvalidSignal, Unauthorized, StopIteration):
        desk.post(body).send(None)
    kept = [orjson.dumps(signal.payload).decode() for signal in desk.store.signals]
    kept += [refused.body + str(refused.errors) for refused in desk.store.refused]
    assert f'"{KEY}"' not in "".join(kept), "text that only contains the key is kept as sent"
    assert '"apikey":' not in "".join(kept).lower()


# -- readmission from quarantine


async def test_a_quarantined_request_is_readmitted_once_the_settings_allow() -> None:
    strict = Desk(make_accounts(unknown_types="reject"))
    await strict.refused(InvalidSignal, {**example(), "type": "Unheard"})
    (kept,) = strict.store.refused
    desk = Desk()
    receipt = await desk.ingest.readmit("bookshop", kept.body, NOW)
    (write,) = desk.store.writes
    assert write.signal.payload == {**example(), "type": "Unheard"}
    assert write.signal.received_at == NOW
    assert [target.route for target in write.targets] == ["erp"]
    assert (receipt.id, receipt.known_type) == (1, False)
    assert desk.woken == [("bookshop", ["erp"])]


async def test_a_readmission_has_the_identity_of_the_senders_own_retry() -> None:
    desk = Desk()
    await desk.post({**example(), "type": "Unheard"})
    again = await desk.ingest.readmit("bookshop", orjson.dumps({**example(), "type": "Unheard"}).decode(), NOW)
    assert again.duplicate


@pytest.mark.parametrize("body", ["", "[]", "{", '{"type": "ItemPacked"}', '{"a":' * 300 + "1" + "}" * 300])
async def test_readmission_refuses_an_invalid_signal(body: str) -> None:
    desk = Desk()
    with pytest.raises(InvalidSignal) as caught:
        await desk.ingest.readmit("bookshop", body, NOW)
    assert caught.value.fields
    assert desk.store.writes == desk.store.refused == []


async def test_only_requests_with_a_right_key_count_as_in_flight() -> None:
    in_flight, counts = InFlightRequests(), list[int]()
    in_flight.on_begin(counts.append)
    desk = Desk(in_flight=in_flight)
    await desk.refused(Unauthorized, request(example(), OTHER_KEY))
    assert counts == []
    await desk.post(example())
    assert (counts, in_flight.count) == ([1], 0)
