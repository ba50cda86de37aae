"""Takes signals in: authenticate, limit, validate, commit. What it returns is on disk. No Tornado here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from gateway import keys, protocol, signal_types
from gateway.errors import InvalidSignal, ShuttingDown, TooManyRequests, Unauthorized
from gateway.metrics import NO_ACCOUNT, Observer
from gateway.model import Account, Route, Signal, lane_of
from gateway.senders import Senders
from gateway.store.contract import Store
from gateway.store.values import Refused, Target
from gateway.token_bucket import TokenBuckets

BAD_KEYS_PER_MINUTE = 60
ADDRESSES_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Receipt:
    """A signal on disk. `id` is 0 for a duplicate; `held` means that the account does not know its order yet."""

    signal: Signal
    id: int
    duplicate: bool
    held: bool
    known_type: bool = True


class Ingest:
    """Receives for all accounts. `accounts` and `bad_keys_per_minute` may be replaced at any time, as a reload does.
    Those who wait for an answer are counted by `senders`.

    `on_accepted(account, routes)` is called after the commit of a signal that has deliveries to make.
    """

    def __init__(
        self,
        accounts: Mapping[str, Account],
        store: Store,
        *,
        observer: Observer | None = None,
        senders: Senders | None = None,
        on_accepted: Callable[[str, Iterable[str]], None] = lambda account, routes: None,
        bad_keys_per_minute: int = BAD_KEYS_PER_MINUTE,
    ) -> None:
        self.accounts = accounts
        self.stopping = False
        self._store = store
        self._observer = observer or Observer()
        self._on_accepted = on_accepted
        self.bad_keys_per_minute = bad_keys_per_minute
        self._signals = TokenBuckets(ADDRESSES_KEPT)
        self._bad_keys = TokenBuckets(ADDRESSES_KEPT)
        self._senders = senders or Senders()

    async def receive(self, account: str, body: bytes, address: str, now: datetime) -> Receipt:
        """Take a request's body for an account, from a client's address.

        Raises Unauthorized; TooManyRequests; InvalidSignal, once the request is in quarantine; StoreError or
        ShuttingDown, and then the sender must try again.
        """
        if self.stopping:
            raise ShuttingDown()
        request = _read(body)
        known = self._authenticate(account, request.key, address, now)
        self._limit(known, now)
        self._senders.come()  # only now: deliveries do not give way to strangers
        try:
            return await self._take(known, request, now)
        finally:
            self._senders.go()

    async def readmit(self, account: str, body: str, now: datetime) -> Receipt:
        """Take in what quarantine kept of a request, whose key was right: validated and routed as any other, by the
        settings of now. Raises InvalidSignal where it still is no valid signal; StoreError."""
        return await self._accept(self.accounts[account], read_again(self.accounts[account], body, now))

    def stop(self) -> None:
        """Take nothing more. What is under way goes on, see `drain`."""
        self.stopping = True

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        await self._senders.gone()

    async def _take(self, account: Account, request: _Request, now: datetime) -> Receipt:
        try:
            signal = _parse(account, request, now)
        except InvalidSignal as error:
            await self._quarantine(account, request, error, now)
            raise
        return await self._accept(account, signal)

    def _authenticate(self, name: str, key: object, address: str, now: datetime) -> Account:
        account = self.accounts.get(name)
        if keys.match(key, account.keys if account else (), now) and account:
            return account
        self._observer.bad_key(name if account else NO_ACCOUNT)
        # Only wrong keys are counted and turned away: the vendor sends for all its clients from the same
        # addresses, so one client's wrong key must not lock out the others.
        limit = self.bad_keys_per_minute
        wait = self._bad_keys.take(address, limit / 60, limit, now.timestamp())
        raise TooManyRequests("Too many wrong keys.", retry_after=wait) if wait else Unauthorized()

    def _limit(self, account: Account, now: datetime) -> None:
        if account.rate is None:
            return
        wait = self._signals.take(account.name, account.rate, None, now.timestamp())
        if wait:
            raise TooManyRequests(retry_after=wait)

    async def _quarantine(self, account: Account, request: _Request, error: InvalidSignal, now: datetime) -> None:
        refused = Refused(account.name, now.timestamp(), _text_to_keep(request), error.fields)
        await self._store.quarantine(refused)
        self._observer.signal_quarantined(account.name)

    async def _accept(self, account: Account, signal: Signal) -> Receipt:
        targets, unrouted = _route(account.routes.values(), signal)
        hold = account.unknown_orders == "hold"
        accepted = await self._store.accept(signal, targets, unrouted, hold)
        receipt = Receipt(
            signal, accepted.signal_id, accepted.duplicate, accepted.held, signal.type in signal_types.TYPES
        )
        self._observe(receipt)
        if targets and not accepted.duplicate and not accepted.held:
            self._on_accepted(account.name, [target.route for target in targets])
        return receipt

    def _observe(self, receipt: Receipt) -> None:
        account = receipt.signal.account
        if receipt.duplicate:
            self._observer.signal_duplicated(account)
            return
        self._observer.signal_accepted(account)
        if receipt.held:
            self._observer.signal_held(account)
        if not receipt.known_type:
            self._observer.type_unknown(account)


# -- pure parts ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Request:
    """A body and what was made of it: a JSON object, or the error; and the key that was presented."""

    body: bytes
    key: Any
    payload: Mapping[str, Any] | None = None
    error: InvalidSignal | None = None


def _read(body: bytes) -> _Request:
    try:
        payload = protocol.decode(body)
    except InvalidSignal as error:
        return _Request(body, keys.find_key(body), error=error)
    return _Request(body, payload.get(keys.FIELD), payload)


def _parse(account: Account, request: _Request, now: datetime) -> Signal:
    if request.payload is None:
        raise request.error or InvalidSignal()
    return _check_type(account, protocol.parse(account.name, keys.remove_key(request.payload, request.key), now))


def read_again(account: Account, body: str, now: datetime) -> Signal:
    """The signal in what quarantine kept of a request. Raises InvalidSignal."""
    # There is no key in it; what is looked for is whether it can be written as JSON at all.
    payload = keys.remove_key(protocol.decode(body.encode()), "")
    return _check_type(account, protocol.parse(account.name, payload, now))


def _check_type(account: Account, signal: Signal) -> Signal:
    if account.unknown_types == "reject" and signal.type not in signal_types.TYPES:
        raise InvalidSignal({"type": "is not known, and this account takes known types only"})
    return signal


def _text_to_keep(request: _Request) -> str:
    """What quarantine keeps: the payload without its key, or the body as text where it is no JSON object."""
    if request.payload is not None:
        try:
            return orjson.dumps(keys.remove_key(request.payload, request.key)).decode()
        except InvalidSignal:  # nested too deeply to be written again
            pass
    return keys.remove_key_from_text(request.body, request.key)


def _route(routes: Iterable[Route], signal: Signal) -> tuple[Sequence[Target], Sequence[str]]:
    """Where a signal goes, and the names of the routes that did not ask for it."""
    targets, unrouted = [], []
    for route in routes:
        if not route.enabled:
            continue
        if route.wants(signal.type):
            targets.append(Target(route.name, lane_of(signal, route.order)))
        else:
            unrouted.append(route.name)
    return targets, unrouted
