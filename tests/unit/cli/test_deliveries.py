"""The commands deliveries and dead."""

from gateway.cli.deliveries import delivery_line
from gateway.store.values import DeliveryRow
from tests.support.filled import fill_with_states
from tests.support.folder import Folder, lines

NOW = 1_800_000_000.0


def test_deliveries_by_state(folder: Folder) -> None:
    ids = folder.fill(fill_with_states)
    states = {row["signal"]: row["state"] for row in lines(folder.run("deliveries", "--json").output)}
    assert sorted(states.values()) == ["dead", "delivered", "pending"]
    (pending,) = lines(folder.run("deliveries", "--json", "--state", "pending").output)
    assert states[pending["signal"]] == "pending"
    (dead,) = lines(folder.run("dead", "--json").output)
    assert dead["signal"] in ids
    assert dead["reason"] == "no such order"
    assert "no such order" in folder.run("dead").output


def test_a_lease_that_ran_out_delivers_nothing() -> None:
    """A gateway that was killed leaves its leases; the delivery is due again when they end."""
    row = DeliveryRow(1, "bookshop", "export", None, "pending", 0, NOW, NOW, None, "", leased_until=NOW + 30)
    assert delivery_line(row, NOW + 29)["next"] == "being delivered"
    assert str(delivery_line(row, NOW + 30)["next"]).startswith("at ")
