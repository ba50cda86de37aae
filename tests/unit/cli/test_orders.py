"""The commands orders add and orders import."""

import pytest

from gateway.operate import known_orders
from gateway.store.contract import Store
from gateway.store.values import Target
from tests.support.factory import make_signal
from tests.support.folder import Folder, lines


@pytest.fixture
def held(folder: Folder) -> Folder:
    """Return a folder whose store holds a signal of the order PO-7."""

    async def hold(store: Store) -> None:
        signal = make_signal(account="bookshop", order="7", order_reference="PO-7")
        await store.accept(signal, [Target("export", "7")], [], True)

    folder.fill(hold)
    return folder


def test_adding_orders_frees_what_was_held(held: Folder) -> None:
    assert lines(held.run("deliveries", "--json").output)[0]["held"]
    assert "held: order unknown" in held.run("deliveries").output
    output = held.run("orders", "add", "bookshop", "PO-7", "PO-8").output
    assert output == "2 orders known to bookshop, 2 of them new; 1 held delivery freed.\n"
    assert not lines(held.run("deliveries", "--json").output)[0]["held"]
    assert "Missing argument 'ORDERS...'" in held.run("orders", "add", "bookshop", code=2).output
    assert "did you mean 'bookshop'?" in held.run("orders", "add", "bokshop", "PO-7", code=1).output


def test_importing_a_file_frees_what_was_held(held: Folder) -> None:
    (held.path / "orders.csv").write_text("Reference;Customer\nPO-7;Ada\nPO-8;Brian\n")
    (printed,) = lines(held.run("orders", "import", "bookshop", "orders.csv", "--json").stdout)
    assert printed == {"account": "bookshop", "orders": 2, "new": 2, "freed": 1, "done": True}
    again = held.run("orders", "import", "bookshop", "-", stdin="PO-7\n\nPO-9\n")
    assert again.stdout == "2 orders known to bookshop, 1 of them new; 0 held deliveries freed.\n"
    assert "importing" in again.stderr
    assert held.rows("SELECT action, actor <> '' FROM actions") == [("orders-import", 1)] * 2


def test_a_long_file_is_imported_in_several_transactions(held: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_orders, "ORDERS_PER_TRANSACTION", 3)
    text = "".join(f'{{"order_reference": "PO-{n}"}}\n' for n in range(10))
    (printed,) = lines(held.run("orders", "import", "bookshop", "-", "--json", stdin=text).stdout)
    assert (printed["orders"], printed["new"], printed["freed"]) == (10, 10, 1)
    assert held.rows("SELECT count(*) FROM known_orders") == [(10,)]


def test_a_file_that_is_wrong_changes_nothing(held: Folder) -> None:
    (held.path / "orders.csv").write_text("reference,customer\nPO-7,Ada\n,\n\nPO-8\n\0,x\n")
    told = held.run("orders", "import", "bookshop", "orders.csv", code=1).output
    assert told == "orders.csv:6: an order's name contains a NUL character\n"
    assert held.rows("SELECT count(*) FROM known_orders") == [(0,)]


def test_the_account_is_checked_before_the_file_is_read(held: Folder) -> None:
    told = held.run("orders", "import", "bokshop", "-", stdin="", code=1).output
    assert "did you mean 'bookshop'?" in told
