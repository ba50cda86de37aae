"""The commands deliveries and dead."""

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
