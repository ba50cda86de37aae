"""Exports accepted signals of a time window in the file format of a sink, such as CSV."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import voluptuous as vol

from gateway.config import Config
from gateway.errors import GatewayError
from gateway.operate.names import describe_unknown
from gateway.sink import FileFormat, Sink
from gateway.store.contract import Records
from gateway.store.values import Filter

SIGNALS_PER_PAGE = 1000
"""Signals read at once; it bounds memory."""


class UnknownRoute(GatewayError):
    """There is no such route."""


class InvalidOptions(GatewayError):
    """An option of the file format is wrong."""


@dataclass(frozen=True, slots=True)
class ExportPage:
    """Some signals in the file's format; with it, `done` of `total` are exported. The first page is the header."""

    content: bytes
    done: int
    total: int


async def export_signals(store: Records, which: Filter, file_format: FileFormat) -> AsyncIterator[ExportPage]:
    """Yield matching signals page by page, oldest first. The same window of the past gives the same bytes.

    `which` must have an `until`, or signals accepted meanwhile would keep the export going.
    """
    after = done = 0
    total = await store.count_signals(which)
    yield ExportPage(file_format.header(), done, total)
    while page := await store.list_signals_after(which, after, SIGNALS_PER_PAGE):
        after = page[-1].id
        done += len(page)
        yield ExportPage(file_format.rows(page), done, total)


def choose_format(config: Config, like: str | None, options: Mapping[str, Any]) -> FileFormat:
    """Return the format of the route `like` ("account/route"), or of the first enabled sink that has one.

    `options` override the route's. Raises UnknownRoute, InvalidOptions, and GatewayError if the sink has no format.
    """
    sink, of_route = find_route(config, like) if like else (find_sink(config), {})
    try:
        checked = vol.Schema(dict(sink.file_options))(dict(options))
    except vol.MultipleInvalid as error:
        texts = (f"{'.'.join(map(str, each.path))}: {each.msg}" for each in error.errors)
        raise InvalidOptions("; ".join(texts)) from None
    made = sink.file_format({**checked, **of_route, **{name: checked[name] for name in options}})
    if made is None:
        raise GatewayError(f"the sink {sink.name} writes no files")
    return made


def find_route(config: Config, like: str) -> tuple[type[Sink], Mapping[str, Any]]:
    """Return the sink of a route named "account/route", and the route's options for files. Raises UnknownRoute."""
    account, _, name = like.partition("/")
    route = config.routes.get((account, name))
    if route is None:
        known = {owner.name: list(owner.routes) for owner in config.accounts.values()}
        hint = describe_unknown(known, Filter(account=account, route=name)) if name else ""
        raise UnknownRoute(hint or "expected an account's route, as in bookshop/export")
    if route.broken:
        raise GatewayError(f"{like}: {route.broken}")
    sink = config.loaded[route.sink].sink
    assert sink is not None
    names = [str(name) for name in sink.file_options]
    if not set(names) <= set(route.options):
        raise GatewayError(f"the options of {like} are wrong: `cloudsignal check` tells what is")
    return sink, {name: route.options[name] for name in names}


def find_sink(config: Config) -> type[Sink]:
    """Return the first enabled sink that has a file format. Raises GatewayError if there is none."""
    for plugin in config.loaded.values():
        if plugin.sink and plugin.sink.file_options:
            return plugin.sink
    raise GatewayError("no enabled sink writes files: add csv to plugins")
