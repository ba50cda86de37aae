"""Composition of a gateway: builds its parts from a config, starts them in order, stops them in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import structlog

from gateway import __version__
from gateway.clock import Clock, watch_clock
from gateway.config import (
    Config,
    changed_routes,
    enabled_routes,
    load_config,
    needs_restart,
    review,
)
from gateway.dispatch import Dispatcher, Lookups, LoopWatch, Runner, Tasks, Throttle, Tuning
from gateway.errors import GatewayError, Problem, StoreError, StoreUnreachable
from gateway.in_flight import InFlightRequests
from gateway.ingest import Ingest
from gateway.log_output import LogOutput, watch_dropped
from gateway.logs import Redactor
from gateway.metrics import PrometheusObserver, guard
from gateway.model import Route, RouteKey
from gateway.operate.alert_watch import AlertWatch
from gateway.operate.feed import Feed
from gateway.operate.figures import StoreLooks
from gateway.operate.follow import Follower
from gateway.operate.hourly_counts import HourlyCounts
from gateway.operate.housekeeping import keep_house, make_partitions
from gateway.operate.in_force import Change
from gateway.operate.key_uses import KeyUses
from gateway.operate.recovery import Recovered, open_and_recover
from gateway.operate.reload import Reloads
from gateway.operate.replay_jobs import ReplayRunner
from gateway.operate.warnings import Warnings
from gateway.sink.api import Shared
from gateway.sink.registry import make_stand_in
from gateway.store import describe_store
from gateway.store.absent import AbsentStore
from gateway.store.contract import Store
from gateway.web.admin.api.endpoint import Desk
from gateway.web.listeners import Listeners

log = structlog.get_logger()

TRY_STORE_EVERY = 2.0
"""Seconds between attempts to reach a store that was not there at the start."""
READY_WITHIN = 3.0
"""Seconds. /readyz calls the store unwritable if a test write takes longer. AWS load balancers
wait 5 s by default, so the answer arrives in time."""


class Service:
    """A running gateway. `start` returns once it takes signals, `stop` once everything is on disk and closed."""

    store: Store
    dispatcher: Dispatcher
    ingest: Ingest
    _follower: Follower
    _hourly_counts: HourlyCounts
    _key_uses: KeyUses
    _lookups: Lookups
    _alert_watch: AlertWatch
    _reloads: Reloads
    _throttle: Throttle
    _replays: ReplayRunner
    _feed: Feed

    def __init__(
        self,
        config: Config,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        redact: Redactor | None = None,
        worker: int | None = None,
        workers: int = 1,
        inherited: Sequence[int] = (),
        tuning: Tuning | None = None,
        log_output: LogOutput | None = None,
    ) -> None:
        self.config = config
        self._log_output = log_output
        self._tuning = tuning or Tuning()
        self.observer = guard(PrometheusObserver())
        self._now = clock or Clock()
        self.listeners = Listeners(config, self.observer, self._date, worker, inherited)
        self._group = {} if worker is None else {"parent": os.getppid(), "workers": workers}
        self._rng = rng or random.Random()
        self._redact = redact or Redactor(config.secrets)
        self._stack = AsyncExitStack()
        self._started = False
        self._shared: defaultdict[str, Shared] = defaultdict(Shared)
        self._sink_tasks: Tasks = {}
        self._loop_watch = LoopWatch(self._sink_tasks, self._plugin_packages, self.observer)
        self._stopping = False
        self._waiting: AbsentStore | None = None
        self._warnings = Warnings(lambda: self.config, self._date, self.observer)
        self._desk = Desk(self._api_store, lambda: self.config, self._now, self._wake_replays, self._api_feed)

    async def start(self, asked_to_stop: asyncio.Event | None = None) -> bool:
        """Open the store, release the leases of an earlier run, listen, deliver. A failure undoes all of it.

        Waits for a store that can't be reached yet. Returns False if asked to stop meanwhile.
        """
        async with AsyncExitStack() as stack:
            opened = await self._open_store(stack, asked_to_stop or asyncio.Event())
            if opened is None:
                log.info("gateway.stopped")
                return False
            self.store = opened.store
            stack.push_async_callback(self.store.close)
            self.store.on_failure(self.observer.store_failed)
            self.store.on_commit(self.observer.committed)
            self._reloads = Reloads(self.store)
            await self._reloads.begin(self.config, self._now())
            await make_partitions(self.store, self._earliest_now(), self.config.retention)
            in_flight = InFlightRequests()
            self._throttle = Throttle(in_flight, self._tuning)
            self._feed = Feed(self.store)
            runners = self._make_runners(enabled_routes(self.config))
            self.dispatcher = Dispatcher(runners, self.store, self._now, self._throttle, self._tuning)
            self._lookups = Lookups(
                self.store,
                lambda: self.config.accounts,
                lambda: self.dispatcher.runners,
                self.dispatcher.wake,
                self._now,
                self.observer,
                self._tuning,
            )
            self.ingest = Ingest(
                self.config.accounts,
                self.store,
                observer=self.observer,
                in_flight=in_flight,
                on_accepted=self.dispatcher.wake,
                on_held=self._lookups.ask_soon,
                bad_keys_per_minute=self.config.server.bad_keys_per_minute,
            )
            self._key_uses = KeyUses(self.ingest, self.store)
            self._replays = ReplayRunner(self.store, self._now)
            self._alert_watch = AlertWatch(
                self.store, lambda: self.config, self._now, self.dispatcher.wake, self._redact
            )
            self._hourly_counts = HourlyCounts(self.observer, self.store, self._now)
            self._follower = Follower(self.store, self._throttle.traffic, self._now)
            self.store.on_notification(self.dispatcher.on_notification)
            if self.listeners.urls:  # the store had to be waited for
                self.listeners.hand_to(self.ingest)
            else:
                self.listeners.open(self.ingest, self.ready, stack, self._desk)
            self._waiting = None
            self.dispatcher.start()
            self._loop_watch.start()
            stack.callback(self._loop_watch.stop)
            self._stack = stack.pop_all()
            self._started = True
        self.observer.config_loaded(True)
        self.observer.built(__version__, 1)
        log.info(
            "gateway.started",
            **self._places(),
            accounts=len(self.config.accounts),
            config=str(self.config.path.absolute()),
            store=describe_store(self.config.store),
        )
        if opened.released or opened.reset:
            log.warning("gateway.recovered", released=opened.released, reset=opened.reset)
        self._warnings.tell_of_plugins()
        # One client's ended keys must not keep the gateway from the others, so here they are no error.
        self._warnings.tell(self.config.warnings)
        self._warnings.tell_of_key_ends()
        return True

    async def serve(self, asked_to_stop: asyncio.Event) -> None:
        """Run until asked to stop.

        Raises StoreCorrupt if the store is found damaged, StoreError if it can't go on, GatewayError if the dispatcher
        can't.
        """
        stop_request = asyncio.create_task(asked_to_stop.wait())
        background = asyncio.ensure_future(
            asyncio.gather(
                self.store.verify(),
                self.store.watch_writer(),
                self.store.watch_file(),
                self.dispatcher.watch(),
                self._lookups.watch(),
                StoreLooks(self.store, lambda: self.config, self.observer, self._now).watch(),
                watch_clock(self._now, self.observer.clock_ahead),
                *([watch_dropped(self._log_output, self.observer.log_lines_dropped)] if self._log_output else []),
                keep_house(self.store, lambda: self.config.retention, self._earliest_now),
                self._key_uses.watch(self._warnings.tell_of_key_ends),
                self._replays.run(),
                self._feed.run(),
                self._alert_watch.watch(),
                self._follower.follow(),
                self._hourly_counts.watch(),
            )
        )
        either: set[asyncio.Future[Any]] = {stop_request, background}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        stop_request.cancel()
        background.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await background

    async def reload(self) -> None:
        """Load the config again and use it. Never raises, and must end before the next call.

        If the config is wrong, needs a restart or looks like a mistake, the last one stays in use. The log, a metric
        and the store's actions name the reason, or the changes.
        """
        trouble = ""
        changes: list[Change] = []
        warnings: list[Problem] = []
        try:
            config = await asyncio.to_thread(load_config, self.config.path)
            warnings = review(config, self._date())
            changes = await self._reloads.plan(self.config, config, self._now())
            await self._apply(config)
            told = list(map(str, changes))
            log.info("config.reloaded", accounts=len(config.accounts), routes=len(config.routes), changes=told)
            await self._reloads.note(config, changes, self._now())
            self._warnings.tell(warnings)
        except GatewayError as error:
            trouble = str(error)
            log.error("config.refused", problems=trouble.splitlines())
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # of a bug or a plugin: the next reload may work
            trouble = f"{type(error).__name__}; the gateway's log tells more"
            log.exception("config.reload_failed")
        self.observer.config_loaded(not trouble)
        detail = {"process": os.getpid(), "trouble": trouble, **self._group}
        if not trouble:
            detail |= {"changes": list(map(str, changes)), "warnings": list(map(str, warnings))}
        try:
            await self.store.record_action("reload", detail, self._now())
        except StoreError as error:
            log.warning("config.reload_not_noted", reason=str(error))

    def _plugin_packages(self) -> Mapping[str, str]:
        """Return the top-level packages of the plugins' code, with the names of their sinks."""
        sinks = {plugin.sink.__module__: name for name, plugin in self.config.loaded.items() if plugin.sink}
        return {module.partition(".")[0]: name for module, name in sinks.items()}

    def _places(self) -> Mapping[str, str | list[str]]:
        """Return the URLs at which this machine reaches the listeners, and the addresses that the settings name."""
        admin = self.config.admin.listen if self.config.admin else ()
        return {
            "url": self.listeners.urls[0],
            "admin": self.listeners.admin_urls[0] if admin else "",
            "listen": [str(address) for address in (*self.config.server.listen, *admin)],
        }

    def _date(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)

    async def _apply(self, config: Config) -> None:
        """Use a config. Raises GatewayError before it changes anything.

        Signals are taken meanwhile: each request uses the accounts that are set when it arrives.
        """
        if fixed := needs_restart(self.config, config):
            raise GatewayError(f"{config.path}: to change {', '.join(fixed)} takes a restart; nothing was changed")
        self.listeners.check(config)
        self._redact.learn(config.secrets)
        old, self.config = self.config, config
        self.ingest.accounts = config.accounts
        self.ingest.bad_keys_per_minute = config.server.bad_keys_per_minute
        self.listeners.apply(config, self.ingest)
        gone, new = changed_routes(old, config)
        await self.dispatcher.change(gone, self._make_runners(new), config.server.grace)
        self._warnings.tell_of_plugins()

    async def stop(self) -> None:
        """Refuse signals (503), let attempts end within the grace time or give them back, close everything.

        Raises StoreError if the store's writer has ended unexpectedly: the process must not end as if all were well.
        """
        if self._stopping or not self._started:
            return
        self._stopping = True
        log.info("gateway.stopping", grace=self.config.server.grace)
        self.ingest.stop()
        await self.ingest.drain()
        await self._key_uses.save(all=True)
        await self._lookups.stop()
        await self.dispatcher.stop(self.config.server.grace)
        await self._follower.finish()
        await self._hourly_counts.save()
        await self._stack.aclose()
        log.info("gateway.stopped")
        # Race: the writer may end while SIGTERM stops the gateway, and `serve` has returned already.
        if failure := self.store.failure():
            raise failure

    async def ready(self) -> Mapping[str, str]:
        """Return the readiness of each part for /readyz: a description of its trouble, "" if it has none."""
        return {
            "store": await self._store_trouble(),
            "gateway": "shutting down" if self._stopping else self._loop_watch.trouble(),
        }

    def _api_feed(self) -> Feed:
        """Return the events of the store. Raises StoreUnreachable while it is waited for."""
        self._api_store()
        return self._feed

    def _wake_replays(self) -> None:
        self._replays.wake()

    def _api_store(self) -> Store:
        """Return the store. Raises StoreUnreachable while it is waited for."""
        if self._waiting:
            raise StoreUnreachable(self._waiting.reason)
        return self.store

    async def _store_trouble(self) -> str:
        try:
            store = self._waiting or self.store
            await asyncio.wait_for(store.check_writable(), READY_WITHIN)
        except StoreError as error:
            return str(error)
        except TimeoutError:
            return f"the store could not write within {READY_WITHIN:g} s"
        return ""

    async def _open_store(self, stack: AsyncExitStack, asked_to_stop: asyncio.Event) -> Recovered | None:
        """Open the store, as soon as it can be reached, and recover it; return None if asked to stop meanwhile.

        Meanwhile senders are answered 503, and /readyz tells the reason.
        """
        while not asked_to_stop.is_set():
            try:
                return await open_and_recover(self.config, self._now())
            except StoreUnreachable as error:
                self._wait_for_store(str(error), stack)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked_to_stop.wait(), TRY_STORE_EVERY)
        return None

    def _wait_for_store(self, reason: str, stack: AsyncExitStack) -> None:
        """Answer senders and operators with the reason, and log it if it is new."""
        if self._waiting and self._waiting.reason == reason:
            return
        if self._waiting is None:
            self._waiting = AbsentStore(reason)
            self.ingest = Ingest(self.config.accounts, self._waiting, observer=self.observer)
            self.listeners.open(self.ingest, self.ready, stack, self._desk)
        self._waiting.reason = reason
        log.warning("store.waiting", reason=reason, **self._places())

    def _earliest_now(self) -> float:
        """Return the earlier of both clocks' times, so that a clock set ahead removes nothing too early."""
        return self._now() + min(0.0, self._now.ahead())

    def _make_runners(self, keys: Iterable[RouteKey]) -> list[Runner]:
        """Return a runner for each of these enabled routes."""
        routes = enabled_routes(self.config)
        redact = Redactor(self.config.secrets)
        return [self._make_runner(routes[key], redact) for key in keys]

    def _make_runner(self, route: Route, redact: Redactor) -> Runner:
        if route.broken:
            route = dataclasses.replace(route, broken=redact(route.broken))
        sink = make_stand_in(route.broken) if route.broken else self.config.loaded[route.sink].sink
        assert sink is not None
        return Runner(
            route,
            sink,
            self.store,
            now=self._now,
            rng=self._rng,
            observer=self.observer,
            redact=redact,
            shared=self._shared[route.sink],
            throttle=self._throttle,
            tuning=self._tuning,
            tasks=self._sink_tasks,
            on_results=self._feed.tell_results,
        )
