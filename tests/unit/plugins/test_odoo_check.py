"""The preflight: its lines for a healthy route, and its problems for a route that could not deliver."""

from datetime import UTC, datetime

import pytest

from tests.support.factory import AT
from tests.support.stub import Answer
from tests.unit.plugins.odoo_case import BOTH, PAGE, Case

pytestmark = pytest.mark.gen_test


@pytest.mark.parametrize(("version", "transport"), [(17, "JSON-RPC"), (18, "JSON-RPC"), (19, "JSON-2")])
async def test_a_healthy_check_lists_version_identity_rights_and_fields(version, transport):
    async with Case(version) as case:
        before = case.odoo.snapshot()
        check = await case.sink.check()
        assert check.ok
        assert check.details == (
            f"Odoo {version}.0 by {transport}",
            f"the key belongs to gateway (user {case.fake.user})",
            "rights: orders, notes, tracking",
            "sale.order has client_order_ref, name",
            "stock.picking has carrier_tracking_ref",
            *(["the user's API key does not expire"] if version >= 18 else []),
        )
        assert case.odoo.snapshot() == before


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (90, "expires on 2027-02-18, in 90 days"),
        (5, "expires on 2026-11-25, in 5 days: renew it now"),
    ],
)
async def test_a_check_says_when_the_key_expires(days, told):
    async with Case() as case:
        end = AT.timestamp() + days * 86400
        case.now = AT.timestamp()
        text = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d %H:%M:%S")
        case.odoo.rows("res.users.apikeys")[0]["expiration_date"] = text
        check = await case.sink.check()
        assert check.ok
        assert check.details[-1] == f"the first of the user's API keys {told}"


async def test_the_readme_shows_a_healthy_check():
    async with Case() as case:
        case.now = AT.timestamp()
        case.odoo.rows("res.users.apikeys")[0]["expiration_date"] = "2027-02-18 10:11:12"
        lines = "".join(f"       {line}\n" for line in (await case.sink.check()).details)
        shown = lines.replace(f"gateway (user {case.fake.user})", "gateway@bookshop.example (user 8)")
        assert f"ok   bookshop/erp (odoo)\n{shown}" in PAGE


@pytest.mark.parametrize("version", BOTH)
async def test_missing_rights_are_each_named(version):
    async with Case(version, groups=(), mark_delivered="line", line_match="default_code") as case:
        check = await case.sink.check()
        assert not check.ok
        wanted = (
            "read sale.order, write sale.order, read stock.picking, write stock.picking, read stock.move, "
            "read sale.order.line, write stock.move"
        )
        assert check.details[-1] == f"the user lacks rights ({wanted}): give it Inventory/User"


@pytest.mark.parametrize("version", BOTH)
async def test_without_the_delivery_module_it_is_not_ok(version):
    async with Case(version) as case:
        case.odoo.delivery_module = False
        check = await case.sink.check()
        assert not check.ok
        assert "stock.picking has no carrier_tracking_ref: install" in check.details[-1]


@pytest.mark.parametrize("version", BOTH)
async def test_a_field_that_is_not_there_is_named(version):
    async with Case(version, order_match=["name", "x_print_order"]) as case:
        check = await case.sink.check()
        assert not check.ok
        assert check.details[-1] == "sale.order has no x_print_order: order_match names no field of sale.order"


async def test_a_fixed_assignee_must_exist():
    async with Case(activity_user=99) as case:
        assert (await case.sink.check()).details[-1] == "activity_user: there is no active user 99"
    async with Case(activity_user=2) as case:
        assert (await case.sink.check()).ok
    async with Case(activity_user=1) as case:  # exists, but is not active
        assert not (await case.sink.check()).ok


@pytest.mark.parametrize("version", [17, 18])
async def test_cancelling_needs_no_more_than_inventory_before_19(version):
    async with Case(version, on_cancel="cancel") as case:
        check = await case.sink.check()
        assert check.ok
        assert "res.users/has_group" not in case.fake.calls()


async def test_cancelling_needs_the_right_to_all_sales_documents_on_19():
    async with Case(on_cancel="cancel") as case:
        check = await case.sink.check()
        assert not check.ok
        assert check.details[-1] == "the user lacks the right to cancel orders: give it Sales/User: All Documents"
    async with Case(groups=("inventory", "sales"), on_cancel="cancel") as case:
        check = await case.sink.check()
        assert check.ok
        assert "rights: cancellation" in check.details


async def test_an_odoo_that_does_not_tell_groups_is_said(monkeypatch):
    async with Case(on_cancel="cancel") as case:
        monkeypatch.delattr("tests.support.odoo_model.OdooModel.do_has_group")
        check = await case.sink.check()
        assert check.ok
        assert (
            "on_cancel: cancel needs Sales/User: All Documents; this Odoo does not say if the user has it"
            in check.details
        )


@pytest.mark.parametrize("version", BOTH)
async def test_a_wrong_key_is_not_ok(version):
    async with Case(version, api_key="another-key") as case:
        check = await case.sink.check()
        assert not check.ok
        assert "key" in check.details[-1]
        assert "another-key" not in str(check)


@pytest.mark.parametrize("version", BOTH)
async def test_a_wrong_database_is_not_ok(version):
    async with Case(version, database="other") as case:
        check = await case.sink.check()
        assert not check.ok
        assert check.details[0].startswith(f"Odoo {version}.0")


async def test_an_odoo_that_is_not_there_is_not_ok():
    async with Case() as case:
        await case.fake.stop()
        check = await case.sink.check()
        assert not check.ok
        assert "can't connect" in check.details[-1]


async def test_json2_on_an_odoo_without_it_is_not_ok():
    async with Case(17, transport="json2") as case:
        check = await case.sink.check()
        assert not check.ok
        assert "this Odoo has no such interface" in check.details[-1]


async def test_keys_that_have_ended_are_not_the_one_in_use():
    async with Case() as case:
        case.odoo.rows("res.users.apikeys")[0]["expiration_date"] = "2026-11-01 00:00:00"
        case.fake.add_key(case.fake.user, "second", "2027-02-18 00:00:00")
        case.fake.add_key(case.odoo.seller, "somebody-elses", "2026-11-21 00:00:00")
        check = await case.sink.check()
        assert check.details[-1] == "the first of the user's API keys expires on 2027-02-18, in 89 days"


async def test_an_unreadable_expiry_is_no_problem():
    async with Case() as case:
        healthy = await case.sink.check()
        asked = len(case.fake.requests)
        told = {"name": "odoo.exceptions.AccessError", "message": "no"}
        # The transport is known by now, so there is one request fewer. The last one is refused.
        case.fake.faults.extend([*[case.fake.serve] * (asked - 2), Answer(403, told)])
        check = await case.sink.check()
        assert check.ok
        assert check.details == (*healthy.details[:-1], "the expiry of the API key can't be read")
