"""A receiver that answers 404 for an order that it lacks gets all other orders meanwhile, by the webhook sink."""

from __future__ import annotations

from pathlib import Path

from tests.support.fake_receiver import SECRET
from tests.support.scene import Scene, serving, wait_until
from tests.support.stub import Answer, Request, Stub

OTHERS = 6


class Picky(Stub):
    """A receiver that knows all orders but one."""

    def answer(self, request: Request) -> Answer:
        return Answer(404 if request.json["data"]["order"] == "UNKNOWN" else 200)

    def orders(self) -> list[str]:
        return [request.json["data"]["order"] for request in self.requests]


def test_one_order_that_is_refused_holds_up_no_other(tmp_path: Path) -> None:
    receiver = Picky()
    with serving(receiver):
        options = f'{{url: "{receiver.url}/hook", secrets: "{SECRET}", allow_private: true}}'
        scene = Scene(tmp_path, {"bookshop": {"hook": f"sink: webhook, options: {options}"}}, retry="first: 1s")
        config = tmp_path / "gateway.yaml"
        config.write_text(config.read_text().replace("plugins: [", "plugins: [webhook, "))
        with scene.running():
            assert scene.send(1, order="UNKNOWN").code == 200
            wait_until(lambda: scene.logged("route.misconfigured"), 60, "the refusal")
            for number in range(OTHERS):
                assert scene.send(number, order=str(number)).code == 200
                wait_until(lambda n=number: str(n) in receiver.orders(), 60, f"order {number} to be forwarded")
            states = {row["order"]: row["state"] for row in scene.cli_json("deliveries")}
            assert states.pop("UNKNOWN") == "pending"
            assert set(states.values()) <= {"delivered", "pending"}
            assert receiver.orders().count("UNKNOWN") <= 3
            assert "is skipped" in scene.cli("skip", "1", "--route", "hook")
            wait_until(lambda: scene.states() == {"delivered": OTHERS, "filtered": 1}, 60, "the others' results")
            (route,) = scene.cli_json("routes")
            assert route["state"] == "running"
