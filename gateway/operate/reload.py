"""Reloads: asking a running gateway for one, and judging the new configuration before it is used."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from gateway.config import Config
from gateway.errors import GatewayError, StoreError
from gateway.operate.in_force import Change, compare, find_dangers, find_reused_names, parts_of
from gateway.operate.names import is_stored
from gateway.store.contract import Records
from gateway.store.contract_accounts import Accounts
from gateway.store.values import ConfigPart

log = structlog.get_logger()

MAX_WORKERS = 64
"""Answers that are looked through for those of one gateway: the most workers that it may have."""
POLL_EVERY = 0.1
"""Seconds between two looks for the gateway's answer in the store; a reload takes about as long."""
FORCED_FOR = 300.0
"""Seconds for which `reload --force` lets the next reload of each gateway pass."""


class RecordsAndAccounts(Records, Accounts, Protocol):
    """The parts of the store that a reload needs."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The answer of a gateway that took a configuration, as sentences."""

    changes: Sequence[str]
    warnings: Sequence[str]


async def request_reload(store: Records, process: int, timeout: float, force: bool = False) -> Reloaded:
    """Send SIGHUP to a gateway, wait until it has recorded the result, and return it.

    With `force`, first record in the store that the reload may take away accounts. Raises GatewayError with the
    problems if the gateway refused the configuration, or if it did not answer in time.
    """
    last = max((action.id for action in await store.list_actions("reload", 1)), default=0)
    if force:
        await store.record_action("reload-force", {"process": process}, time.time())
    try:
        os.kill(process, signal.SIGHUP)
    except OSError as error:
        raise GatewayError(f"can't reach the gateway's process {process}: {error.strerror}") from error
    answers = await wait_for_answers(store, process, last, timeout)
    if trouble := "\n".join(dict.fromkeys(answer["trouble"] for answer in answers if answer["trouble"])):
        raise GatewayError(f"the gateway goes on with its last configuration:\n{trouble}")
    return Reloaded(answers[0].get("changes", ()), answers[0].get("warnings", ()))


async def wait_for_answers(store: Records, process: int, after: int, timeout: float) -> Sequence[Any]:
    """Return the details that a process, or each of its workers, recorded for a reload.

    A detail has its `trouble`, "" for a success, and the `changes`.
    """
    deadline = time.monotonic() + timeout
    answers: list[Any] = []
    while time.monotonic() < deadline:
        actions = await store.list_actions("reload", MAX_WORKERS)
        new = {action.detail["process"]: action.detail for action in actions if action.id > after}
        answers = [detail for detail in new.values() if process in (detail["process"], detail.get("parent"))]
        if process in new or (answers and len(answers) >= answers[0]["workers"]):
            return answers
        await asyncio.sleep(POLL_EVERY)
    some = f"only {len(answers)} of its {answers[0]['workers']} workers have" if answers else "it has not"
    raise GatewayError(f"the gateway was asked to reload, but {some} answered within {timeout:g} s; see its log")


# -- in the gateway


class Reloads:
    """Judges configurations for one gateway, and keeps in the store what is in force."""

    def __init__(self, store: RecordsAndAccounts) -> None:
        self._store = store
        self._used = 0

    async def begin(self, config: Config, now: float) -> None:
        """Note the configuration of a start. Raises GatewayError for a name that another client had."""
        known = await self._store.read_in_force()
        await check_names(self._store, known, config)
        await self.note(config, compare(known, parts_of(config), await self._store.read_backlog()), now)

    async def plan(self, old: Config, new: Config, now: float) -> list[Change]:
        """Return the changes of a reload. Raises GatewayError if it is refused, because of a name or as a mistake."""
        before, after = parts_of(old), parts_of(new)
        if not (changes := compare(before, after, {})):
            return []
        if any(change.kind == "account" for change in changes):
            await check_names(self._store, await self._store.read_in_force(), new)
            changes = compare(before, after, await self._store.read_backlog())
        if (dangers := find_dangers(before, after)) and not await self._is_forced(now):
            waiting = [str(change) for change in changes if change.pending]
            hint = "if this is meant: cloudsignal reload --force"
            raise GatewayError("\n".join([*(f"{new.path}: {danger}" for danger in dangers), *waiting, hint]))
        return changes

    async def note(self, config: Config, changes: Sequence[Change], now: float) -> None:
        """Note a configuration that is in force now. A store that is away is told in the log only."""
        log_accounts_left(changes)
        try:
            await self._store.save_in_force(parts_of(config), now)
        except StoreError as error:
            log.warning("config.reload_not_noted", reason=str(error))

    async def _is_forced(self, now: float) -> bool:
        """Return True once for each `reload --force` that an operator has just recorded."""
        for action in await self._store.list_actions("reload-force", 1):
            if action.id > self._used and abs(now - action.at) < FORCED_FOR:
                self._used = action.id
                return True
        return False


async def check_names(store: Records, known: Sequence[ConfigPart], config: Config) -> None:
    """Raise GatewayError if an account has the name of an earlier client of whom the store still has something."""
    backlog = {account for account, _ in await store.read_backlog()}
    problems = [
        f"accounts.{name}: another client had this name, and the store still has its signals: cloudsignal forget "
        f"{name} removes them, cloudsignal accounts keep {name} leaves them to this account"
        for name in find_reused_names(known, config)
        if name in backlog or await is_stored(store, name)
    ]
    if problems:
        raise GatewayError("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Preview:
    """The changes that a reload would make. `dangers` are reasons for which it would need --force.

    `first` is True if no gateway has used the store yet.
    """

    first: bool
    changes: Sequence[Change]
    dangers: Sequence[str]


async def preview(store: RecordsAndAccounts, config: Config) -> Preview:
    """Compare a configuration with the one that a gateway used last. Raises GatewayError for a name in use before."""
    known = await store.read_in_force()
    await check_names(store, known, config)
    parts = parts_of(config)
    return Preview(not known, compare(known, parts, await store.read_backlog()), find_dangers(known, parts))


def log_accounts_left(changes: Sequence[Change]) -> None:
    """Log each account that goes, with the deliveries that stay pending."""
    for change in changes:
        if change.kind == "account" and change.how == "goes":
            log.warning("config.account_left", account=change.name, pending=dict(change.pending))
