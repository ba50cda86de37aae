"""Endpoints of replays, which run as jobs: begin one, follow it, cancel it."""

from __future__ import annotations

from typing import Any

import voluptuous as vol

from gateway.operate import views
from gateway.operate.lookups import Filter
from gateway.operate.replay_jobs import begin_replay, cancel_replay, list_replays, read_replay
from gateway.web.admin.api import shapes
from gateway.web.admin.api.endpoint import Call, Reply, endpoint, reply_page
from gateway.web.admin.api.fields import FILTERS, FLAG, ID, below, list_of, make_filter, one_of

SELECTION: dict[Any, Any] = {
    **FILTERS,
    vol.Optional("state", description="Only in this state."): one_of("dead", "delivered", "filtered"),
    vol.Optional("signals", description="Ids of signals; delivered ones only with `again`, `route` or `state`."): (
        list_of(ID, 1000)
    ),
}
CHOICES: dict[Any, Any] = {
    vol.Optional("again", default=False, description="With `signals`: also repeat delivered ones."): FLAG,
    vol.Optional("dry_run", default=False, description="Count the deliveries, and change nothing."): FLAG,
}


@endpoint({202: shapes.REPLAY}, body={**SELECTION, **CHOICES}, one_of=[str(key.schema) for key in SELECTION])
async def begin(call: Call) -> Reply:
    """Deliver again: begin a job that replays ended deliveries. Name at least one filter."""
    which = make_filter(call.body, ids=call.body.get("signals"))
    given = call.body["again"], call.body["dry_run"]
    job = await begin_replay(call.store, call.access, call.config, which, *given, call.now)
    call.desk.wake_replays()
    return Reply(views.replay_job_json(job), 202, {"Location": f"{call.path}/{job.id}"})


@endpoint(shapes.REPLAY, paged=True)
async def list_(call: Call) -> Reply:
    """List replays that ran as jobs, newest first."""
    rows = await list_replays(call.store, call.access, call.config, Filter(upto=below(call.query)), call.limit + 1)
    return reply_page(call, rows, views.replay_job_json, lambda row: row.id)


@endpoint(shapes.REPLAY)
async def show(call: Call) -> Reply:
    """Show the progress of a replay."""
    return Reply(views.replay_job_json(await read_replay(call.store, call.access, call.config, call.names["id"])))


@endpoint(shapes.REPLAY)
async def cancel(call: Call) -> Reply:
    """Cancel a replay that runs; what it has replayed so far stays replayed."""
    job = await cancel_replay(call.store, call.access, call.config, call.names["id"], call.now)
    return Reply(views.replay_job_json(job))
