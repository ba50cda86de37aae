"""Operators replay dead letters and quarantined requests beside a running gateway, and custody always holds."""

from __future__ import annotations

from pathlib import Path

from tests.support.payloads import example, request
from tests.support.scene import ERP, Scene, fetch, serving, wait_until
from tests.support.stub import Answer, Stub


def test_quarantined_requests_are_delivered_after_the_config_is_mended(tmp_path: Path) -> None:
    scene = Scene(tmp_path, {"bookshop": {"erp": f"signals: ['*'], {ERP}"}})
    config = tmp_path / "gateway.yaml"
    mended = config.read_text()
    config.write_text(mended.replace("    keys:", "    unknown_types: reject\n    keys:"))
    with scene.running() as gateway:
        for item in ("1", "2"):
            sent = {**example("ItemPacked", item=item), "type": "ItemFolded"}
            assert fetch(f"{gateway.url}/signals/bookshop", request(sent)).code == 400
        assert "0 would be accepted" in scene.cli("quarantine", "replay", "--all", "--dry-run", code=1)
        config.write_text(mended)
        assert "2 would be accepted" in scene.cli("quarantine", "replay", "--all", "--dry-run")
        assert "2 accepted" in scene.cli("quarantine", "replay", "--all")
        assert scene.cli("quarantine") == "Nothing in quarantine.\n"
        scene.wait_for_delivery()
        assert sorted(scene.recorded()) == [1, 2]
    assert "each is accounted for" in scene.cli("audit")


def test_incomplete_signals_are_accepted_once_the_account_wants_them(tmp_path: Path) -> None:
    scene = Scene(tmp_path, {"bookshop": {"erp": f"signals: ['*'], {ERP}"}})
    config = tmp_path / "gateway.yaml"
    strict = config.read_text().replace("plugins: [", "plugins: [csv, ")
    config.write_text(strict)
    tolerant = strict.replace("    keys:", "    incomplete: accept\n    keys:")
    sent = [
        example("ItemShipped", item="1", tracking=""),
        example("ItemShipped", item="2", tracking=None, shipping_option=...),
        example("CloudprinterOrderCanceled", order="3", message=" "),
    ]
    with scene.running() as gateway:
        for payload in sent:
            for _ in range(2):
                assert fetch(f"{gateway.url}/signals/bookshop", request(payload)).code == 400
        assert len(scene.cli_json("quarantine")) == 3
        assert "0 would be accepted" in scene.cli("quarantine", "replay", "--all", "--dry-run", code=1)
        config.write_text(tolerant)
        assert "3 accepted" in scene.cli("quarantine", "replay", "--all")
        assert "reloaded" in scene.cli("reload")
        for payload in sent:
            assert fetch(f"{gateway.url}/signals/bookshop", request(payload)).code == 200, "a duplicate"
        assert fetch(f"{gateway.url}/signals/bookshop", request(example("ItemPacked"))).code == 200
        scene.wait_for_delivery()
    listed = scene.cli_json("signals")
    assert [row["missing"] for row in listed] == [[], ["message"], ["tracking", "shipping_option"], ["tracking"]]
    assert [row["incomplete"] for row in listed] == [False, True, True, True]
    assert "missing          tracking, shipping_option" in scene.cli("show", "2")
    exported = scene.cli("export", "--set", "columns=[signal, tracking, incomplete]")
    assert "1,,tracking\n2,,tracking shipping_option\n3,,message\n" in exported
    assert "4 signals, and each is accounted for." in scene.cli("audit")


def test_dead_letters_are_delivered_after_the_target_is_mended(tmp_path: Path) -> None:
    target = Stub()
    target.faults.extend([Answer(400)] * 4)
    with serving(target):
        shop = f'sink: post, options: {{url: "{target.url}"}}'
        scene = Scene(tmp_path, {"bookshop": {"erp": ERP, "shop": shop}})
        with scene.running():
            for number in range(4):
                scene.send(number, order=str(number // 2))
            wait_until(lambda: scene.states()["dead"] == 4, 60, "the target to refuse all")
            (dead, *_) = [row for row in scene.cli_json("explain", "1") if row["route"] == "shop"]
            assert (dead["why"], dead["text"].endswith("answered 400")) == ("dead", True)
            assert "4 would be replayed" in scene.cli("replay", "--route", "shop", "--dead", "--dry-run")
            assert "4 to be delivered again" in scene.cli("replay", "--route", "shop", "--dead")
            scene.check_custody()
        assert sorted(request.json["id"] for request in target.requests) == [1, 1, 2, 2, 3, 3, 4, 4]
        assert scene.recorded().total() == 4
        assert {row["replayed"] for row in scene.cli_json("deliveries", "--route", "shop")} == {True}
        assert "4 signals, and each is accounted for." in scene.cli("audit")
