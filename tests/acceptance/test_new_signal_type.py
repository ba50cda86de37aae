"""A new signal type is one entry of the table: with it alone, the gateway and its plugins know the type."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

ENTRY = """
TABLE = (
    SignalType(
        "ItemLost",
        85,
        "Item lost",
        (*ITEM_PARAMETERS, "cause"),
        severity="failure",
        alert=True,
        example={"cause": "Fell off the van"},
    ),"""

SCRIPT = """
from gateway import protocol
from gateway.config import setting_values as values
from gateway.errors import InvalidSignal
from gateway.model import Delivery
from gateway.sink import ALERTS, describe_signal
from gateway.testing import make_delivery
from gateway.testing.samples import make_payload
from cloudsignal_odoo import OdooSink
from cloudsignal_slack.message import build_message
from cloudsignal_slack.options import severity
from cloudsignal_tryton import TrytonSink

lost = make_delivery("ItemLost")
assert lost.signal.item and lost.signal.cause == "Fell off the van"
assert Delivery(lost.signal, "erp", furthest="ItemDeliveryFailed").overtaken
assert "ItemLost" in values.SIGNAL_TYPES and "ItemLost" in ALERTS
assert "ItemLost" in OdooSink.signals and "ItemLost" in TrytonSink.signals
try:
    protocol.parse("bookshop", make_payload("ItemLost", cause=None), lost.signal.received_at)
except InvalidSignal as error:
    assert error.fields == {"cause": "required"}
else:
    raise AssertionError("a required parameter is not asked for")
assert describe_signal(lost.signal) == "item lost, item 1, cause: Fell off the van"
assert severity(lost.signal) == "error"
assert build_message(lost)["text"].startswith("⚠️ Item lost: PO-1001")
"""


def test_one_entry_makes_a_type_known_everywhere(tmp_path: Path) -> None:
    for name in ("gateway", "plugins"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    table = tmp_path / "gateway" / "signal_types.py"
    source = table.read_text()
    assert source.count("\nTABLE = (") == 1
    table.write_text(source.replace("\nTABLE = (", ENTRY))
    env = {"PYTHONPATH": f"{tmp_path}:{tmp_path / 'plugins'}", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
