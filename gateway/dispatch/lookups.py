"""Asks the sinks for the orders of held signals. An order that a target has becomes known."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import structlog

from gateway.dispatch.runner import Runner
from gateway.dispatch.tuning import DEFAULT_TUNING, Tuning
from gateway.errors import RetryLater, StoreError
from gateway.metrics import Observer
from gateway.model import Account, RouteKey
from gateway.store.contract import Store

log = structlog.get_logger()

PAGE = 500
"""Orders read from the store at a time: the questions of some minutes."""
MAX_FRESH = 1000
"""References of just held signals in memory, for each account. The next round finds further ones in the store."""
LONGEST_ASKED_REST = 3600.0
"""Longest rest (s) that a target's Retry-After may ask for."""
ALL_LOOKUPS: RouteKey = ("", "order lookups")
"""The key by which one of the gateways on a shared store owns the rounds. No account has an empty name."""


@dataclass(slots=True)
class AccountQuestions:
    """An account's questions. `fresh` are asked first; then all orders held since `since`, page by page."""

    fresh: dict[str, None] = field(default_factory=dict)
    since: float | None = None
    page: deque[str] = field(default_factory=deque)
    after: str = ""
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Rest:
    """An account that is asked no questions until a time, as its target could not be asked."""

    failures: int = 0
    until: float = 0.0


class Lookups:
    """The questions of one gateway, from `watch` to `stop`.

    `accounts` and `runners` follow the present configuration. `wake` is called when deliveries were freed.
    """

    def __init__(
        self,
        store: Store,
        accounts: Callable[[], Mapping[str, Account]],
        runners: Callable[[], Mapping[RouteKey, Runner]],
        wake: Callable[[str, list[str]], None],
        now: Callable[[], float],
        observer: Observer,
        tuning: Tuning = DEFAULT_TUNING,
    ) -> None:
        self._id = uuid.uuid4().hex
        self._store = store
        self._accounts = accounts
        self._runners = runners
        self._wake = wake
        self._now = now
        self._observer = observer
        self._tuning = tuning
        self._questions: dict[str, AccountQuestions] = {}
        self._rests: dict[str, Rest] = {}
        self._at_once = asyncio.Semaphore(tuning.lookups_at_once)
        self._whole_at = 0.0
        self._stopping = False

    def ask_soon(self, account: str, reference: str) -> None:
        """Ask for the order of a signal that was just held."""
        if reference and self._can_ask(account):
            questions = self._questions.setdefault(account, AccountQuestions())
            if len(questions.fresh) < MAX_FRESH:
                questions.fresh[reference] = None
            self._work_on(account, questions)

    async def watch(self) -> None:
        """Begin one round after the other without end. An error ends a round, never the gateway."""
        while True:
            try:
                await self.begin_round()
            except StoreError as error:
                log.warning("order.lookups_failed", reason=str(error))
            except Exception:  # held signals wait for the next round
                log.exception("order.lookups_failed")
            await asyncio.sleep(self._tuning.lookup_round)

    async def begin_round(self) -> None:
        """Ask again for the orders that were held lately; less often for all that are held."""
        now = self._now()
        if self._store.shared:
            until = now + 2 * self._tuning.lookup_round
            if not await self._store.own_routes([ALL_LOOKUPS], self._id, now, until):
                return
        whole = not 0 <= now - self._whole_at < self._tuning.lookup_whole_round
        since = 0.0 if whole else now - self._tuning.lookup_recent
        for account in await self._store.list_held_accounts(since):
            if self._can_ask(account):
                questions = self._questions.setdefault(account, AccountQuestions())
                if questions.since is None:
                    questions.since = since
                self._work_on(account, questions)
        if whole:
            self._whole_at = now

    async def stop(self) -> None:
        """Ask nothing more."""
        self._stopping = True
        tasks = [questions.task for questions in self._questions.values() if questions.task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def wait_until_idle(self) -> None:
        """Wait until every question was asked."""
        while tasks := [questions.task for questions in self._questions.values() if questions.task]:
            await asyncio.wait(tasks)

    def _can_ask(self, account: str) -> bool:
        rest = self._rests.get(account)
        rests = rest is not None and self._now() < rest.until
        return not self._stopping and not rests and any(self._able_runners(account))

    def _able_runners(self, account: str) -> Iterator[Runner]:
        """Yield the account's routes with a sink that looks up orders."""
        known = self._accounts().get(account)
        for name in known.routes if known else ():
            runner = self._runners().get((account, name))
            if runner is not None and runner.sink_class.looks_up_orders():
                yield runner

    def _work_on(self, account: str, questions: AccountQuestions) -> None:
        if questions.task is None:
            questions.task = asyncio.create_task(self._work(account, questions))

    async def _work(self, account: str, questions: AccountQuestions) -> None:
        """Ask an account's questions one after the other, until there are none or its target can't be asked."""
        try:
            while (reference := await self._next(account, questions)) is not None:
                async with self._at_once:
                    if not await self._ask(account, reference):
                        break
                await asyncio.sleep(self._tuning.lookup_pace)
        except StoreError as error:
            log.warning("order.lookups_failed", account=account, reason=str(error))
        except Exception:
            log.exception("order.lookups_failed", account=account)
        finally:  # no await since `_next` found none: whatever is asked later finds no questions and begins anew
            del self._questions[account]

    async def _next(self, account: str, questions: AccountQuestions) -> str | None:
        """Return the next order to ask for, None at the end."""
        if not questions.fresh and not questions.page and questions.since is not None:
            found = await self._store.list_held_orders(account, questions.since, questions.after, PAGE)
            questions.page = deque(found)
            questions.since, questions.after = (questions.since, found[-1]) if found else (None, "")
        if questions.fresh:
            reference = next(iter(questions.fresh))
            del questions.fresh[reference]
            return reference
        return questions.page.popleft() if questions.page else None

    async def _ask(self, account: str, reference: str) -> bool:
        """Ask the account's sinks in turn until one has the order. Return False if one could not be asked."""
        for runner in self._able_runners(account):
            try:
                known = await runner.knows(reference)
            except RetryLater as error:
                self._rest(runner, error)
                return False
            if known is None:
                continue
            self._rests.pop(account, None)
            self._observer.order_looked_up(*runner.key, runner.route.sink, "known" if known else "unknown")
            if known:
                await self._make_known(runner, reference)
                return True
        return True

    async def _make_known(self, runner: Runner, reference: str) -> None:
        account, route = runner.key
        made = await self._store.add_known_orders(account, [reference], self._now())
        log.info("order.known", account=account, route=route, order_reference=reference, freed=made.freed)
        if made.freed:
            self._wake(account, list(self._accounts()[account].routes))

    def _rest(self, runner: Runner, error: RetryLater) -> None:
        """Ask nothing of the account for a while, longer after each failure in a row."""
        account, route = runner.key
        rest = self._rests.setdefault(account, Rest())
        seconds = min(self._tuning.lookup_longest_rest, self._tuning.lookup_rest * 2.0**rest.failures)
        seconds = max(seconds, min(error.after or 0.0, LONGEST_ASKED_REST))
        rest.failures, rest.until = rest.failures + 1, self._now() + seconds
        self._observer.order_looked_up(account, route, runner.route.sink, "failed")
        log.warning("order.lookup_failed", account=account, route=route, reason=str(error), again_in=seconds)
