"""Accounts and keys are changed by commands beside a running gateway, and no signal is lost."""

from __future__ import annotations

import json
from pathlib import Path

from tests.acceptance.test_reload import post, senders
from tests.support.payloads import KEY
from tests.support.scene import Scene, wait_until


def test_a_key_is_rotated_and_an_account_is_added_beside_a_sender(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.running():
        with senders(scene, KEY, 1000) as old:
            wait_until(lambda: len(old) > 5, 60, "the sender")
            rotated = json.loads(scene.cli("keys", "rotate", "bookshop", "--yes", "--reload", "--json"))
            assert post(scene, rotated["key"], 1) == 200
            added = json.loads(scene.cli("accounts", "add", "posters", "--yes", "--reload", "--json"))
            assert post(scene, added["key"], 2, "posters") == 200
            sent = len(old)
            wait_until(lambda: len(old) > sent + 5, 60, "the sender")
        assert set(old) == {200}
        scene.cli("accounts", "remove", "posters", "--yes", "--reload")
        assert post(scene, added["key"], 3, "posters") == 401
        actions = [json.loads(line)["action"] for line in scene.cli("actions", "--json").splitlines()]
        assert {"account-add", "account-remove", "key-rotate"} <= set(actions)
    config = (tmp_path / "gateway.yaml").read_text()
    assert rotated["key"] not in config
    assert added["key"] not in config + scene.gateway.log.read_text()
