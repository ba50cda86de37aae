"""Numbers keep their digits from the sender to every place where an operator or a target sees them."""

from __future__ import annotations

import asyncio
import csv
import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.support.fake_receiver import SECRET, FakeReceiver
from tests.support.payloads import KEY, example, request
from tests.support.process import Gateway, run_cli

CONFIG = """\
server: {listen: "127.0.0.1:0"}
store: {url: "sqlite:///gateway.db"}
plugins: [webhook, csv]
tenant: acme
accounts:
  bookshop:
    keys: [KEY]
    routes:
      forward: {sink: webhook, options: {url: "HOOK", secrets: !env SECRET, allow_private: [127.0.0.1/32]}}
      export: {sink: csv, options: {directory: out, columns: [signal, tracking, payload]}}
"""
NUMBERS = ["9400111899223197428490", "9400111899223197428491", "1e400", "24.10", "24.1", "1.0", "1", "-0"]
REFUSED = "0.1000000000000000055"


@pytest.mark.gen_test
async def test_digits_are_kept_from_the_sender_to_the_target(tmp_path: Path) -> None:
    receiver = FakeReceiver()
    receiver.start()
    (tmp_path / "gateway.yaml").write_text(CONFIG.replace("KEY", KEY, 1).replace("HOOK", receiver.hook))
    await asyncio.to_thread(send_all, tmp_path)
    await receiver.stop()
    posted = [each for each in receiver.requests if each.method == "POST"]
    for each in posted:
        Webhook(SECRET).verify(each.body, dict(each.headers.get_all()))
    assert sorted(weight_in(each.body.decode()) for each in posted) == sorted([*NUMBERS, *NUMBERS[:2]])
    with (tmp_path / "out" / "bookshop.export.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [weight_in(row["payload"]) for row in rows] == [*NUMBERS, *NUMBERS[:2]]
    assert [row["tracking"] for row in rows][-2:] == NUMBERS[:2]

    def listed(*words: str) -> str:
        return run_cli(*words, "--config", "gateway.yaml", cwd=tmp_path, env={"SECRET": SECRET}).stdout

    lines = listed("signals", "--json").splitlines()
    assert [weight_in(line) for line in reversed(lines)] == [*NUMBERS, *NUMBERS[:2]]
    assert f"{'weight':20} {NUMBERS[0]}" in listed("show", "1")
    exported = listed("export", "--until", "2100-01-01", "--set", "columns=[payload]")
    assert all(f':{number}}}"' in exported for number in NUMBERS)
    (quarantined,) = listed("quarantine", "--json").splitlines()
    assert f'"delay":{REFUSED}' in json.loads(quarantined)["body"]


def weight_in(text: str) -> str:
    """Return the text of the number `weight` in JSON text."""
    found: list[str] = []
    json.loads(
        text,
        parse_int=str,
        parse_float=str,
        object_pairs_hook=lambda pairs: found.extend(value for name, value in pairs if name == "weight"),
    )
    (number,) = found
    return number


def send_all(folder: Path) -> None:
    """Send a signal for each number, twice; two with a number for the tracking; and one that is refused."""
    with Gateway(folder, {"SECRET": SECRET}) as gateway:

        def post(name: str, members: str) -> int:
            body = request(example(name))[:-1] + f", {members}}}".encode()
            try:
                with urllib.request.urlopen(f"{gateway.url}/signals/bookshop", body, timeout=30) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code

        for number in (*NUMBERS, *NUMBERS):
            assert post("ItemPacked", f'"weight": {number}') == 200
        for number in NUMBERS[:2]:
            assert post("ItemShipped", f'"tracking": {number}, "weight": {number}') == 200
        assert post("ItemError", f'"delay": {REFUSED}') == 400
        for number in range(2 * (len(NUMBERS) + 2)):
            gateway.wait_for_log('"outcome":"delivered"', number + 1)
        assert gateway.terminate() == 0
