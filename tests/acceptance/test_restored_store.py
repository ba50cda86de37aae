"""A store restored from a backup that is older than the exported files destroys no row of them."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

import pytest

from tests.support.payloads import KEY, example, request
from tests.support.process import Gateway

CONFIG = """\
server: {listen: "127.0.0.1:0"}
store: {url: "sqlite:///gateway.db"}
plugins: [csv]
tenant: acme
accounts:
  bookshop:
    keys: [KEY]
    routes:
      export: {sink: csv, options: {directory: out, columns: [order], ROTATE}}
"""


def send(gateway: Gateway, *orders: str) -> None:
    """Send a signal for each order; wait until each is delivered before the next is sent."""
    for order in orders:
        before = gateway.log.read_text().count('"outcome":"delivered"')
        body = request(example("ItemPacked", order=order))
        with urllib.request.urlopen(f"{gateway.url}/signals/bookshop", body, timeout=30) as answer:
            assert answer.status == 200
        gateway.wait_for_log('"outcome":"delivered"', before + 1)


def copy_store(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for path in source.glob("gateway.db*"):
        if not path.name.endswith(".lock"):
            shutil.copy2(path, target)


@pytest.mark.parametrize("rotate", ["rotate: never", "rotate: daily", "rotate: 1KB, gzip: true"])
def test_no_row_of_a_file_is_lost_when_an_older_store_is_restored(tmp_path: Path, rotate: str) -> None:
    (tmp_path / "gateway.yaml").write_text(CONFIG.replace("KEY", KEY, 1).replace("ROTATE", rotate))
    with Gateway(tmp_path) as gateway:
        send(gateway, "1", "2")
        assert gateway.terminate() == 0
    copy_store(tmp_path, tmp_path / "backup")
    with Gateway(tmp_path) as gateway:
        send(gateway, "3", "4", "5", "6")
        assert gateway.terminate() == 0
    for path in tmp_path.glob("gateway.db-*"):
        path.unlink()
    copy_store(tmp_path / "backup", tmp_path)
    with Gateway(tmp_path) as gateway:
        send(gateway, "7")
        send(gateway, "8")
        assert gateway.terminate() == 0
    rows = {path.name: path.read_text().split()[1:] for path in (tmp_path / "out").iterdir()}
    assert sorted(rows.values()) == [["1", "2", "3", "4", "5", "6"], ["7", "8"]], rows
    (aside,) = [name for name, orders in rows.items() if len(orders) == 6]
    assert aside.endswith(".1")
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines() if line.startswith("{")]
    (warning,) = [line for line in lines if line["event"] == "csv.file_set_aside"]
    assert warning["renamed"].endswith(aside)
    assert "the store is older than the file" in warning["reason"]
