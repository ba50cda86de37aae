"""The store's contract: an audit finds each violation of custody, and no other."""

from __future__ import annotations

from collections import Counter

import pytest

from gateway.model import Dead, Done
from gateway.store.contract import Store
from gateway.store.reads import pages
from gateway.store.values import Filter, Violation
from tests.contract.store_case import NOW, Backend, accept, claim, finish, numbered, replay_all
from tests.support.factory import ACCOUNT
from tests.support.ledger import read_ledger

pytestmark = pytest.mark.gen_test

DELIVERED, DEAD, FILTERED, LEASED, HEAD, SECOND, THIRD, HELD, LANELESS = range(1, 10)


async def fill(store: Store) -> None:
    """Make a signal in each state, by the ids above, and one that no route asked for."""
    for number, decision in enumerate((Done("delivered"), Dead("gone"), Done("filtered", "nothing to do"))):
        await accept(store, numbered(number, order=str(number)), unrouted=("alerts",))
        await finish(store, await claim(store), decision)
    await accept(store, numbered(4, order="leased"))
    await claim(store)
    for number in (HEAD, SECOND, THIRD):
        await accept(store, numbered(number, order="lane"), unrouted=("alerts",))
    await accept(store, numbered(HELD, order="held"), hold=True)
    await accept(store, numbered(LANELESS, order="free"), lane=False)
    await accept(store, numbered(10, order="unasked"), (), unrouted=("alerts", "erp"))


async def audit(store: Store, after: int = 0) -> list[Violation]:
    return [wrong async for page in store.check_custody(after) for wrong in page.violations]


async def test_a_sound_store_has_no_violations_and_a_ledger(backend: Backend) -> None:
    async with backend.open() as store:
        assert [page async for page in store.check_custody()] == []
        await fill(store)
        assert await replay_all(store, Filter(state="dead"), NOW) == 1
        [page] = [page async for page in store.check_custody()]
        assert (page.first, page.reached, page.last, page.signals, page.violations) == (1, 10, 10, 10, [])
        assert page.ledger == await read_ledger(store)
        assert page.found == {(ACCOUNT, "erp"): 9}


async def test_an_audit_goes_page_by_page_while_others_write(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "IDS_PER_PAGE", 4)
    async with backend.open() as store:
        await fill(store)
        reached, signals = [], 0
        async for page in store.check_custody(after=1):
            reached.append(page.reached)
            signals += page.signals
            await finish(store, await claim(store))
            await accept(store, numbered(100 + page.reached, order="new"))
            assert (page.first, page.last, page.violations) == (2, 10, [])
        assert (reached, signals) == ([5, 9, 10], 9)
        assert await audit(store) == []


IN_A_LANE = "waits in a lane that has no head, or several"

DAMAGES: dict[str, tuple[str, list[tuple[int, str | None, str]]]] = {
    "a delivery is gone": (
        f"DELETE FROM deliveries WHERE signal_id = {DELIVERED}",
        [(DELIVERED, None, "was given 1 deliveries and has 0")],
    ),
    "a delivery too many": (
        "INSERT INTO deliveries "
        "(signal_id, route, account, lane, state, due_at, attempts, created_at, reason, held, received_at) "
        "SELECT id, 'other', account, NULL, 'pending', 1, 0, 0, '', 0, received_at FROM signals "
        f"WHERE id = {DELIVERED}",
        [(DELIVERED, None, "was given 1 deliveries and has 2")],
    ),
    "a signal is gone": (
        f"DELETE FROM signals WHERE id = {DEAD}",
        [(DEAD, "erp", "its signal is not in the store")],
    ),
    "a delivery is another signal's, which never was": (
        f"UPDATE deliveries SET signal_id = 99 WHERE signal_id = {DEAD}",
        [(DEAD, None, "was given 1 deliveries and has 0"), (99, "erp", "its signal is not in the store")],
    ),
    "another account": (
        f"UPDATE deliveries SET account = 'printery' WHERE signal_id = {DEAD}",
        [(DEAD, "erp", "its account is not its signal's")],
    ),
    "counted twice": (
        f"""UPDATE signals SET unrouted = '["alerts","erp"]' WHERE id = {DEAD}""",
        [(DEAD, "erp", "its signal says that the route did not ask for it")],
    ),
    "no list": (
        f"UPDATE signals SET unrouted = '[\"al' WHERE id = {DEAD}",
        [(DEAD, None, "its list of the routes that did not ask for it can't be read")],
    ),
    "pending and ended": (
        f"UPDATE deliveries SET ended_at = 1 WHERE signal_id = {HEAD}",
        [(HEAD, "erp", "is pending, but says when it ended")],
    ),
    "held and due": (
        f"UPDATE deliveries SET due_at = 1 WHERE signal_id = {HELD}",
        [(HELD, "erp", "is held, but due")],
    ),
    "leased and not due": (
        f"UPDATE deliveries SET lease = 'x' WHERE signal_id = {SECOND}",
        [(SECOND, "erp", "is leased, but not due")],
    ),
    "waits for nothing": (
        f"UPDATE deliveries SET due_at = NULL WHERE signal_id = {LANELESS}",
        [(LANELESS, "erp", "waits, but neither for its order nor behind another")],
    ),
    "a lane without a head": (
        f"UPDATE deliveries SET due_at = NULL WHERE signal_id = {HEAD}",
        [(number, "erp", IN_A_LANE) for number in (HEAD, SECOND, THIRD)],
    ),
    "a lane whose head is held": (
        f"UPDATE deliveries SET due_at = NULL, held = 1 WHERE signal_id = {HEAD}",
        [(number, "erp", IN_A_LANE) for number in (SECOND, THIRD)],
    ),
    "a lane with two heads": (
        f"DROP INDEX deliveries_head; UPDATE deliveries SET due_at = 1 WHERE signal_id = {SECOND}",
        [(THIRD, "erp", IN_A_LANE)],
    ),
    "ended at no time": (
        f"UPDATE deliveries SET ended_at = NULL WHERE signal_id = {FILTERED}",
        [(FILTERED, "erp", "has ended, but does not say when")],
    ),
    "ended and due": (
        f"UPDATE deliveries SET due_at = 1 WHERE signal_id = {DEAD}",
        [(DEAD, "erp", "has ended, but is due")],
    ),
    "ended and leased": (
        f"UPDATE deliveries SET lease = 'x' WHERE signal_id = {DELIVERED}",
        [(DELIVERED, "erp", "has ended, but is leased")],
    ),
    "leased without end": (
        f"UPDATE deliveries SET lease = 'x' WHERE signal_id = {LANELESS}",
        [(LANELESS, "erp", "has a lease without an end time, or an end time without a lease")],
    ),
    "leased by nobody": (
        f"UPDATE deliveries SET leased_until = 1 WHERE signal_id = {LANELESS}",
        [(LANELESS, "erp", "has a lease without an end time, or an end time without a lease")],
    ),
    "ended and held": (
        f"UPDATE deliveries SET held = 1 WHERE signal_id = {DELIVERED}",
        [(DELIVERED, "erp", "has ended, but is held")],
    ),
}


def damage(backend: Backend, *statements: str) -> None:
    """Change the database beside the store, as no code of the store does."""
    with backend.raw() as db:
        for text in statements:
            for statement in text.split("; "):
                db.execute_sql(statement)


@pytest.mark.parametrize("what", DAMAGES)
async def test_each_damage_is_found(backend: Backend, what: str) -> None:
    statements, expected = DAMAGES[what]
    async with backend.open() as store:
        await fill(store)
        assert await audit(store) == []
        damage(backend, statements)
        found = await audit(store)
        assert [(wrong.signal_id, wrong.route, wrong.problem) for wrong in found] == expected


async def test_a_state_that_there_is_not_is_in_no_count(backend: Backend) -> None:
    allow = {"sqlite": "PRAGMA ignore_check_constraints = 1"}
    default = "CREATE TABLE deliveries_lost PARTITION OF deliveries FOR VALUES IN ('lost')"
    async with backend.open() as store:
        await fill(store)
        lose = f"UPDATE deliveries SET state = 'lost' WHERE signal_id = {DEAD}"
        damage(backend, allow.get(backend.url.partition(":")[0], default), lose)
        [page] = [page async for page in store.check_custody()]
        assert [(wrong.signal_id, wrong.problem) for wrong in page.violations] == [(DEAD, "has an unknown state")]
        counts = Counter(page.ledger[ACCOUNT, "erp"])
        assert counts.pop("accepted") == counts.total() + 1
