"""A type that an account refused is taken in from quarantine, once it takes it, and the running gateway delivers it."""

from __future__ import annotations

from pathlib import Path

from tests.support.payloads import example, request
from tests.support.scene import ERP, Scene, fetch


def test_what_was_refused_is_delivered_after_the_config_is_mended(tmp_path: Path) -> None:
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
