"""Endpoints of accounts: list them, show one."""

from __future__ import annotations

import voluptuous as vol

from gateway.errors import NotFound
from gateway.operate import views
from gateway.operate.access import accounts_seen, require_seen
from gateway.operate.accounts import page_accounts, read_accounts
from gateway.web.admin.api import shapes
from gateway.web.admin.api.endpoint import Call, Reply, endpoint, reply_page
from gateway.web.admin.api.fields import NAME


@endpoint(
    shapes.ACCOUNT,
    query={vol.Optional("after", description="The account before the page; take it from the Link header."): NAME},
    paged=True,
)
async def list_(call: Call) -> Reply:
    """List accounts by name: endpoint, keys, backlog, health of the routes."""
    seen = accounts_seen(call.access, call.config)
    rows = await page_accounts(call.store, call.config, seen, call.query.get("after", ""), call.limit + 1)
    return reply_page(call, rows, lambda row: views.account_json(row, call.now), lambda row: row.account)


@endpoint(shapes.ACCOUNT)
async def show(call: Call) -> Reply:
    """Show an account."""
    name = call.names["account"]
    require_seen(call.access, call.config, name)
    rows = await read_accounts(call.store, call.config, lambda known: known == name)
    if not rows:
        raise NotFound()
    return Reply(views.account_json(rows[0], call.now))
