"""Endpoints of orders: list them by state, find them, show one with its items and timeline."""

from __future__ import annotations

import voluptuous as vol

from gateway.errors import NotFound
from gateway.operate import order_views
from gateway.operate.access import accounts_of, require_seen
from gateway.operate.orders import (
    STATES,
    OrderState,
    list_orders,
    make_order_filter,
    place_of,
    read_order,
    search_orders,
)
from gateway.validators import parse_duration
from gateway.web.admin.api import shapes
from gateway.web.admin.api.endpoint import Call, Reply, endpoint, reply_page
from gateway.web.admin.api.fields import ACCOUNT, MOMENT, matching, one_of, text


def to_place(cursor: str) -> tuple[int, str, str]:
    """Return the place of an order in the list, from its cursor."""
    seen, account, order = cursor.split(".", 2)
    return int(seen), account, order


def cursor_of(order: OrderState) -> str:
    """Return the cursor of the page that begins behind an order. An account's name has no dot."""
    return ".".join(map(str, place_of(order)))


PLACE = matching(r"-?[0-9]{1,18}\.[a-z0-9_-]{1,64}\..{0,255}", to_place, "a cursor that a page before has linked")
AGE = matching(r"[0-9]{1,4}[smhd]", parse_duration, "an age such as 12h or 3d")
QUERY = {
    **ACCOUNT,
    vol.Optional("state", description="Only in this state."): one_of(*STATES),
    vol.Optional("stuck", description="Not shipped, or with a problem, and at its stage for so long, such as 2d."): AGE,
    vol.Optional("since", description="With signals since this time; also an age such as 12h."): MOMENT,
    vol.Optional("q", description="An order's id or reference, an item or a tracking number. Alone."): text(),
    vol.Optional("after", description="The order before the page; take it from the Link header."): PLACE,
}


@endpoint(shapes.ORDER, query=QUERY, paged=True)
async def list_(call: Call) -> Reply:
    """List orders with their states, the ones with the latest signals first; or find them by `q`."""
    query = call.query
    accounts = accounts_of(call.access, call.config, query.get("account"))
    if "q" in query:
        found = await search_orders(call.store, query["q"], accounts)
        return Reply([order_views.order_json(order) for order in found[: call.limit]])
    stuck_before = call.now - query["stuck"] if "stuck" in query else None
    since = float(query["since"]) if "since" in query else None
    which = make_order_filter(accounts, query.get("state"), since, stuck_before)
    rows = await list_orders(call.store, which, call.limit + 1, query.get("after"))
    return reply_page(call, rows, order_views.order_json, cursor_of)


@endpoint(shapes.ORDER_DETAILS)
async def show(call: Call) -> Reply:
    """Show an order: state, items, tracking, and the timeline of its signals with each route's result."""
    account, order = call.names["account"], call.names["order"]
    require_seen(call.access, call.config, account)
    found = await read_order(call.store, call.config, account, order, call.now)
    if not found.timeline and found.state is None:
        raise NotFound()
    return Reply(order_views.order_details_json(found))
