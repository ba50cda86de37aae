"""Watches in the configuration: a tenant's and an account's, replaced and switched off by name, and their errors."""

from __future__ import annotations

import pytest

from gateway.model import Watch
from gateway.operate.in_force import compare, parts_of
from tests.support.pages import ROOT
from tests.unit.config.folder import Folder

ACCOUNT = "accounts:\n  shop:\n    keys: [a-key-of-the-shop]\n"
TENANT = """\
watches:
  not-produced: {after: CloudprinterOrderValidated, expect: ItemProduce, within: 48h}
  not-mended: {after: ItemError, expect: ItemProduced}
  quiet: {silent_for: 3d}
"""
HOUR = 3600.0


def watches(folder: Folder, text: str) -> dict[str, Watch]:
    return dict(folder.load(text).accounts["shop"].watches)


def test_an_account_has_its_tenants_watches(folder: Folder) -> None:
    assert watches(folder, TENANT + ACCOUNT) == {
        "not-produced": Watch("not-produced", "CloudprinterOrderValidated", "ItemProduce", 48 * HOUR),
        "not-mended": Watch("not-mended", "ItemError", "ItemProduced"),
        "quiet": Watch("quiet", silent_for=72 * HOUR),
    }


def test_an_account_replaces_and_switches_off_watches_by_name(folder: Folder) -> None:
    own = """\
    watches:
      not-produced: {enabled: false}
      quiet: {silent_for: auto}
      not-shipped: {after: ItemProduced, expect: ItemShipped, within: 72h}
"""
    found = watches(folder, TENANT + ACCOUNT + own)
    assert sorted(found) == ["not-mended", "not-shipped", "quiet"]
    assert found["quiet"] == Watch("quiet")
    assert found["not-shipped"].within == 72 * HOUR


def test_a_watch_may_be_written_down_and_off(folder: Folder) -> None:
    assert watches(folder, "watches: {quiet: {silent_for: 3d, enabled: false}}\n" + ACCOUNT) == {}


def test_without_watches_there_are_none(folder: Folder) -> None:
    assert watches(folder, "watches:\n" + ACCOUNT) == {}


ERRORS = [
    ("{}", "expected after, expect and within; or silent_for"),
    ("{after: ItemProduced, within: 1h}", "expected after, expect and within; or silent_for"),
    (
        "{after: ItemProduced, expect: ItemShipped}",
        "expected within; only after ItemError the signal itself tells a delay",
    ),
    ("{silent_for: 3d, within: 1h}", ".within: goes with `after`, and not with silent_for"),
    (
        "{after: ItemShipped, expect: ItemProduce, within: 1h}",
        ".expect: ItemProduce comes before ItemShipped, or is the same",
    ),
    (
        "{after: ItemProduce, expect: CloudprinterOrderCanceled, within: 1h}",
        ".expect: CloudprinterOrderCanceled is of the whole order, and ItemProduce of an item",
    ),
    (
        "{after: ItemProducd, expect: ItemShipped, within: 1h}",
        ".after: expected a signal type; did you mean 'ItemProduced'?",
    ),
    (
        "{after: ItemProduced, expect: ItemShiped, within: 1h}",
        ".expect: expected a signal type; did you mean 'ItemShipped'?",
    ),
    ("{silent_for: soon}", ".silent_for: expected a duration such as 30s, 15m, 48h or 7d, or a number of seconds"),
    ("{silent_for: 0.5}", ".silent_for: expected at least 1s"),
    ("{silent_fr: 3d}", ".silent_fr: unknown key 'silent_fr'; did you mean 'silent_for'?"),
    ("5", "expected a mapping (name: value)"),
]


@pytest.mark.parametrize(("watch", "message"), ERRORS, ids=[watch for watch, _ in ERRORS])
def test_an_error_names_its_file_and_line(folder: Folder, watch: str, message: str) -> None:
    text = f"watches:\n  late: {watch}\n" + ACCOUNT
    dot = "" if message.startswith(".") else ": "
    assert folder.errors(text) == [f"gateway.yaml:2: watches.late{dot}{message}"]


def test_a_print_error_and_a_failed_delivery_are_no_stages_to_wait_for(folder: Folder) -> None:
    (error,) = folder.errors("watches: {late: {after: ItemProduce, expect: ItemError, within: 1h}}\n" + ACCOUNT)
    assert "watches.late.expect: expected a signal type" in error


def test_an_account_can_switch_off_only_what_its_tenant_has(folder: Folder) -> None:
    text = TENANT + ACCOUNT + "    watches:\n      quite: {enabled: false}\n"
    assert folder.errors(text) == [
        "gateway.yaml:9: accounts.shop.watches.quite: the tenant has no watch of this name to switch off; "
        "did you mean 'quiet'?"
    ]


def test_a_wrong_name_is_an_error(folder: Folder) -> None:
    (error,) = folder.errors("watches: {'a b': {silent_for: 3d}}\n" + ACCOUNT)
    assert "expected a name" in error


def test_a_reload_tells_of_watches_that_change(folder: Folder) -> None:
    before = parts_of(folder.load(ACCOUNT))
    after = parts_of(folder.load(TENANT + ACCOUNT))
    (change,) = compare(before, after, {})
    assert str(change) == "account shop changes: watch not-produced comes; watch not-mended comes; watch quiet comes"
    later = parts_of(folder.load(TENANT.replace("48h", "24h") + ACCOUNT))
    assert [str(each) for each in compare(after, later, {})] == ["account shop changes: watch not-produced changes"]


def test_the_samples_watches_are_valid(folder: Folder) -> None:
    text = (ROOT / "config" / "tenants" / "acme.yaml").read_text()
    lines = text.splitlines()
    start = lines.index("#watches:")
    uncommented = [line.replace("#", "", 1) for line in lines[start : start + 5]]
    assert len(watches(folder, "\n".join(uncommented) + "\n" + ACCOUNT)) == 4
