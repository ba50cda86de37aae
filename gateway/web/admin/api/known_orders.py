"""Endpoint of known orders: make one known, which frees the signals held for it."""

from __future__ import annotations

from gateway.operate.access import require_change, require_seen
from gateway.operate.known_orders import make_known
from gateway.web.admin.api import shapes
from gateway.web.admin.api.endpoint import Call, Reply, endpoint


@endpoint({200: shapes.KNOWN_ORDER, 201: shapes.KNOWN_ORDER})
async def put(call: Call) -> Reply:
    """Make an order known, by its id or reference: 201 if it was not known before."""
    require_change(call.access)
    account, reference = call.names["account"], call.names["reference"]
    require_seen(call.access, call.config, account)
    made = await make_known(call.store, call.config, account, reference, call.now)
    return Reply({"account": account, "reference": reference, "freed": made.freed}, 201 if made.new else 200)
