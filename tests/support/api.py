"""The API of a filled gateway, in this process: two tenants with accounts, a token for each role, and a client."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse

from gateway.alerts import Condition
from gateway.config import Config, load_config
from gateway.model import Attempt, Dead, Done, Kind, lane_of
from gateway.operate.feed import Feed
from gateway.operate.orders import catch_up
from gateway.store import Store
from gateway.store.values import Actor, ClaimRequest, Filter, Refused, Result, Target, Telling
from gateway.web.admin.api.endpoint import Desk
from tests.support.factory import make_signal

TOKENS = {"operator": "cst_operator", "tenant": "cst_tenant", "account": "cst_account"}
FOREIGN = "printshop"
"""The account that neither the tenant nor the account may see."""


def digest(role: str) -> str:
    return hashlib.sha256(TOKENS[role].encode()).hexdigest()


CONFIG = f"""\
server: {{trusted_proxies: [127.0.0.1], bad_keys_per_minute: 5}}
admin:
  tokens:
    - {{name: oncall, sha256: {digest("operator")}, role: operator}}
    - {{name: acme, sha256: {digest("tenant")}, role: tenant, tenant: acme}}
    - {{name: bookshop, sha256: {digest("account")}, role: account, account: bookshop}}
  proxy_auth:
    header: remote-user
    trusted: [127.0.0.1]
    users: [{{name: ann, role: tenant, tenant: acme}}]
store: {{url: "sqlite:///gateway.db"}}
plugins: [csv]
tenant: acme
accounts:
  bookshop: &account
    keys: [test-key-of-the-bookshop]
    routes:
      erp: {{sink: csv, options: {{directory: exports}}}}
      alerts: {{sink: csv, signals: [ItemError], options: {{directory: exports}}}}
  gallery: {{keys: [test-key-of-the-gallery]}}
include: [globex.yaml]
"""
GLOBEX = """\
tenant: globex
accounts:
  printshop:
    keys: [test-key-of-the-printshop]
    routes: {erp: {sink: csv, options: {directory: exports}}}
"""


def write_config(folder: Path, main: str = CONFIG) -> Config:
    """Write the configuration into a folder, and load it."""
    (folder / "gateway.yaml").write_text(main)
    (folder / "globex.yaml").write_text(GLOBEX)
    return load_config(folder / "gateway.yaml")


async def fill(store: Store) -> dict[str, int]:
    """Store for each account a delivered, a dead and a pending signal, a quarantined request, an action and a replay.

    Return the id of the dead signal by account.
    """
    now, dead = time.time(), {}
    for account in ("bookshop", FOREIGN):
        for number in range(3):
            signal = make_signal(account=account, order=f"{account}-{number}", order_reference=f"PO-{account}-{number}")
            targets = [Target("erp", lane_of(signal, "lane"))]
            accepted = await store.accept(signal, targets, ["alerts"], False)
            dead[account] = accepted.signal_id if number == 1 else dead.get(account, 0)
        for decision in (Done("delivered"), Dead("no such order")):
            claim = await store.claim([ClaimRequest(account, "erp", 1)], now, now + 60)
            attempt = Attempt(1, now, 0.5, Kind.PERMANENT, "no such order") if isinstance(decision, Dead) else None
            await store.record([Result(claim.deliveries[0], decision, attempt, now)], {})
        await store.quarantine(Refused(account, now, f'{{"order": "{account}-9"}}', {"type": "is missing"}))
        person = store.acting_as(Actor(f"{account}-person", "192.0.2.9"))
        await person.set_paused(account, "alerts", True, now, f"{account} moves")
        await person.begin_replay(Filter(account=account), True, f"account:{account}", now)
    await catch_up(store, now)  # the states of the orders
    return dead


async def fill_alerts(store: Store) -> dict[str, int]:
    """Raise an alert of each account; return its id by account. The store gets a signal of each."""
    found = {}
    for account in ("bookshop", FOREIGN):
        silent = Condition(account, f"{account} is silent", watch="quiet")
        (alert,) = await store.raise_alerts([Telling(silent, [], [])], time.time())
        found[account] = alert.id
    return found


class Client:
    """A client of the API, with the token of a role."""

    def __init__(self, client: AsyncHTTPClient, url: str) -> None:
        self._client = client
        self.url = url

    async def ask(
        self,
        method: str,
        path: str,
        role: str | None = "operator",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> HTTPResponse:
        """Send a request to a path below /api/v1/."""
        given = {"Authorization": f"Bearer {TOKENS[role]}"} if role else {}
        given |= {"Content-Type": "application/json"} if method == "POST" else {}
        content = (
            orjson.dumps(body) if body is not None else b"{}" if method == "POST" else b"" if method == "PUT" else None
        )
        request = HTTPRequest(
            f"{self.url}/api/v1/{path}",
            method,
            headers={**given, **(headers or {})},
            body=content,
            allow_nonstandard_methods=True,
            follow_redirects=False,
        )
        return await self._client.fetch(request, raise_error=False)

    async def get(self, path: str, role: str | None = "operator") -> Any:
        """Return the JSON at a path, which must be there."""
        response = await self.ask("GET", path, role)
        assert response.code == 200, response.body
        return orjson.loads(response.body)


def make_desk(store: Store, config: Config, feed: Feed | None = None) -> Desk:
    """Return the parts that the API works with."""
    found = feed or Feed(store)
    return Desk(lambda: store, lambda: config, time.time, lambda: None, lambda: found)
