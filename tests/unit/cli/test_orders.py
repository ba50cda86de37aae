"""The command orders."""

from gateway.store.contract import Store
from gateway.store.values import Target
from tests.support.factory import make_signal
from tests.support.folder import Folder, lines

NOW = 1_800_000_000.0


def test_orders_frees_what_was_held(folder: Folder) -> None:
    async def hold(store: Store) -> None:
        signal = make_signal(account="bookshop", order="7", order_reference="PO-7")
        await store.accept(signal, [Target("export", "7")], [], True)

    folder.fill(hold)
    assert lines(folder.run("deliveries", "--json").output)[0]["held"]
    assert "held: order unknown" in folder.run("deliveries").output
    output = folder.run("orders", "bookshop", "--from", "-", stdin="PO-7\n\n").output
    assert output == "1 order known to bookshop; 1 held delivery freed.\n"
    assert not lines(folder.run("deliveries", "--json").output)[0]["held"]
    assert "name at least one order" in folder.run("orders", "bookshop", code=2).output
    assert "did you mean 'bookshop'?" in folder.run("orders", "bokshop", "PO-7", code=1).output


def test_a_file_in_another_encoding_is_wrong_usage(folder: Folder) -> None:
    (folder.path / "orders.txt").write_bytes("BÜRO-1\n".encode("latin-1"))
    assert "not UTF-8" in folder.run("orders", "bookshop", "--from", "orders.txt", code=2).output
