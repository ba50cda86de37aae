"""The model: identities, lanes, secrets, routes."""

import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import model, signal_types
from gateway.model import Key, SecretValue, Signal, identity_of, lane_of

TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)
PAYLOAD = st.dictionaries(TEXT, JSON, max_size=5)


def signal(**fields: object) -> Signal:
    known = {
        "account": "shop",
        "type": "ItemCanceled",
        "order": "1",
        "order_reference": "PO-1",
        "item": "11",
        "item_reference": "a",
        "occurred_at": None,
        "received_at": datetime(2026, 1, 1, tzinfo=UTC),
        "payload": {},
        "identity": "0" * 32,
    }
    return Signal(**{**known, **fields})


@given(PAYLOAD)
def test_identity_does_not_depend_on_the_order_of_fields(payload: dict[str, object]) -> None:
    assert identity_of("shop", payload) == identity_of("shop", dict(reversed(payload.items())))


@given(PAYLOAD, PAYLOAD)
def test_identity_tells_contents_apart(one: dict[str, object], other: dict[str, object]) -> None:
    same = repr(sorted(one.items(), key=lambda kv: kv[0])) == repr(sorted(other.items(), key=lambda kv: kv[0]))
    if not same and one != other:
        assert identity_of("shop", one) != identity_of("shop", other)


def test_identity_is_the_accounts_own() -> None:
    assert identity_of("shop", {"order": "1"}) != identity_of("shop2", {"order": "1"})
    assert len(identity_of("shop", {})) == 32


def test_the_lane_is_the_order_and_none_where_no_order_is_kept() -> None:
    assert lane_of(signal(), "lane") == "1"
    assert lane_of(signal(order=""), "lane") == "PO-1"
    assert lane_of(signal(order="", order_reference=""), "lane") is None
    assert lane_of(signal(), "none") is None


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("CancelCoverSpine", "wrong cover spine width (CancelCoverSpine)"),
        ("190", "190"),
        (190, "190"),
        (None, ""),
        ("Print error, reprint needed", "Print error, reprint needed"),
    ],
)
def test_a_known_cause_is_put_in_words(sent: object, words: str) -> None:
    assert signal(payload={"cause": sent}).cause == words


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = SecretValue("hunter2-hunter2")
    assert secret.reveal() == "hunter2-hunter2"
    for shown in (str(secret), repr(secret), f"{secret}", repr({"key": secret})):
        assert "hunter2" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_secrets_compare_by_content() -> None:
    assert SecretValue("a") == SecretValue("a") != SecretValue("b")
    assert SecretValue("a") != "a"


def test_a_keys_repr_has_no_digest() -> None:
    assert "3131" not in repr(Key(b"11", "label"))
    assert "label" in repr(Key(b"11", "label"))


def test_the_log_context_has_no_payload() -> None:
    context = signal(id=7, payload={"tracking": "T1"}).log_context()
    assert context == {"account": "shop", "signal": 7, "type": "ItemCanceled", "order": "1", "item": "11"}


def test_a_stamp_is_shared_by_attempts_and_not_by_a_replay() -> None:
    first, second = (model.Delivery(signal(), "erp", attempt, created_at=1.5) for attempt in (1, 2))
    replay = model.Delivery(signal(), "erp", created_at=2.0, replayed=True)
    assert first.stamp == second.stamp == f"{'0' * 32}:1.500000"
    assert replay.stamp != first.stamp
    assert replay.key == first.key


def test_a_route_wants_its_types_or_every_type() -> None:
    route = model.Route("shop", "acme", "alerts", "slack", signals=signal_types.ALERTS)
    assert route.wants("ItemError")
    assert not route.wants("ItemShipped")
    assert model.Route("shop", "acme", "export", "csv").wants("SomethingNew")
