"""Taking signals in: decode, authenticate, limit the rate, parse, commit. A returned receipt is on disk.

Each stage has one name. A `body` is the bytes of a request, a `DecodedBody` has its payload and its key. A `payload` is
the JSON object, a `Signal` the valid payload without its key. A `Receipt` says that the signal is on disk. This module
knows nothing of HTTP.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway import body_forms, exact_json, keys, protocol, signal_types
from gateway.address_blocks import block_of
from gateway.errors import GatewayError, InvalidSignal, ShuttingDown, TooManyRequests, Unauthorized
from gateway.in_flight import InFlightRequests
from gateway.metrics import NO_ACCOUNT, Observer
from gateway.model import Account, Key, Route, Signal, lane_of
from gateway.store.contract import Inbox
from gateway.store.values import Refused, Target
from gateway.token_bucket import TokenBuckets

BAD_KEYS_PER_MINUTE = 60
"""Wrong keys per minute and address, or IPv6 /64. More get 429 and no 401, which slows guessing. Setting: server."""
MAX_TOKEN_BUCKETS = 10_000
"""Rates kept in memory, by address or account. More would let strangers use it up; the oldest are dropped first."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A signal on disk. `id` is 0 for a duplicate. `held` is True if the account does not know its order yet.

    `key` is the label of the key that it came with, "" if it came from quarantine.
    """

    signal: Signal
    id: int
    duplicate: bool
    held: bool
    known_type: bool = True
    key: str = ""


class Ingest:
    """The way in for all accounts. A reload may replace `accounts` and `bad_keys_per_minute` at any time.

    `on_accepted(account, routes)` is called after the commit of a signal that has pending deliveries,
    `on_held(account, reference)` after that of a held signal. `in_flight` counts the requests with a
    right key until their answer.
    """

    def __init__(
        self,
        accounts: Mapping[str, Account],
        store: Inbox,
        *,
        observer: Observer | None = None,
        in_flight: InFlightRequests | None = None,
        on_accepted: Callable[[str, Iterable[str]], None] = lambda account, routes: None,
        on_held: Callable[[str, str], None] = lambda account, reference: None,
        bad_keys_per_minute: int = BAD_KEYS_PER_MINUTE,
    ) -> None:
        self.accounts = accounts
        self.stopping = False
        self._store = store
        self._observer = observer or Observer()
        self._on_accepted = on_accepted
        self._on_held = on_held
        self.bad_keys_per_minute = bad_keys_per_minute
        self._account_rates = TokenBuckets(MAX_TOKEN_BUCKETS)
        self._bad_keys = TokenBuckets(MAX_TOKEN_BUCKETS)
        self._in_flight = in_flight or InFlightRequests()
        self._key_uses: dict[bytes, tuple[str, Key, float]] = {}

    async def receive(self, account: str, body: bytes, address: str, now: datetime, fault: str = "") -> Receipt:
        """Take the body of a request to an account in. `address` is the client's, `now` is in UTC.

        `fault` says why the body is not as it was sent; then it is no valid signal.
        Raises Unauthorized, TooManyRequests, or InvalidSignal once the request is in quarantine. Raises StoreError or
        ShuttingDown if nothing was kept; then the sender must retry.
        """
        if self.stopping:
            raise ShuttingDown()
        decoded = decode_body(body, fault)
        if fault:
            self._observer.body_damaged(account if account in self.accounts else NO_ACCOUNT)
        known, key = self._authenticate(account, decoded, address, now)
        self._key_uses[key.digest] = known.name, key, now.timestamp()
        self._in_flight.begin()  # after authentication, so that strangers can't slow deliveries down
        try:
            self._limit_rate(known, now)
            decoded = restore_numbers(decoded)
            signal = await self._parse_or_quarantine(known, decoded, now)
            return await self._accept(known, signal, key.label)
        except GatewayError as error:
            error.context = {"key": key.label}
            raise
        finally:
            self._in_flight.end()

    async def readmit(self, account: str, kept: str, now: datetime) -> Receipt:
        """Take a request from quarantine in, with today's settings. `kept` is the text that quarantine kept of it.

        Raises InvalidSignal if it still is no valid signal, or StoreError.
        """
        known = self.accounts[account]
        return await self._accept(known, parse_quarantined(known, kept, now))

    def take_key_uses(self) -> Iterable[tuple[str, Key, float]]:
        """Return the account, the key and the time of the last use of each key that was used since the last call."""
        uses = list(self._key_uses.values())
        self._key_uses.clear()
        return uses

    def stop(self) -> None:
        """Refuse new requests. `drain` waits for the accepted ones."""
        self.stopping = True

    async def drain(self) -> None:
        """Wait until no request waits for the store."""
        await self._in_flight.wait_until_none()

    async def _parse_or_quarantine(self, account: Account, decoded: DecodedBody, now: datetime) -> Signal:
        try:
            return parse_decoded(account, decoded, now)
        except InvalidSignal as error:
            await self._quarantine(account, decoded, error, now)
            raise

    def _authenticate(self, name: str, decoded: DecodedBody, address: str, now: datetime) -> tuple[Account, Key]:
        account = self.accounts.get(name)
        key, ended = keys.match(decoded.key, account.keys if account else (), now)
        if account and key:
            return account, key
        self._observer.bad_key(name if account else NO_ACCOUNT)
        # Only wrong keys count. The vendor sends for all its clients from the same addresses, so one client's wrong
        # key must not lock out the others.
        limit = self.bad_keys_per_minute
        wait = self._bad_keys.take(block_of(address), limit / 60, limit, now.timestamp())
        error = TooManyRequests("Too many wrong keys.", retry_after=wait) if wait else Unauthorized()
        if ended:
            error.context = {"key": ended.label, "reason": "expired key"}
        elif decoded.fault:
            error.context = {"reason": f"the body {decoded.fault}"}
        raise error

    def _limit_rate(self, account: Account, now: datetime) -> None:
        if account.rate is None:
            return
        wait = self._account_rates.take(account.name, account.rate, None, now.timestamp())
        if wait:
            raise TooManyRequests(retry_after=wait)

    async def _quarantine(self, account: Account, decoded: DecodedBody, error: InvalidSignal, now: datetime) -> None:
        refused = Refused(account.name, now.timestamp(), text_to_keep(decoded), error.fields)
        await self._store.quarantine(refused)
        self._observer.signal_quarantined(account.name)

    async def _accept(self, account: Account, signal: Signal, key: str = "") -> Receipt:
        targets, unrouted = choose_routes(account.routes.values(), signal)
        # A signal that names no order could never be freed.
        hold = account.unknown_orders == "hold" and bool(signal.order or signal.order_reference)
        accepted = await self._store.accept(signal, targets, unrouted, hold)
        known_type = signal.type in signal_types.TYPES
        receipt = Receipt(signal, accepted.signal_id, accepted.duplicate, accepted.held, known_type, key)
        self._observe(receipt)
        if targets and not accepted.duplicate and not accepted.held:
            self._on_accepted(account.name, [target.route for target in targets])
        if accepted.held:
            self._on_held(account.name, signal.order_reference)
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
class DecodedBody:
    """A body, the key presented in it, and its payload, or the error if it is no JSON object.

    A body that holds an object in another form has both, and `body` is that object as JSON. `fault` says why the body
    is not as it was sent, and is the error too.
    """

    body: bytes
    key: Any
    payload: dict[str, Any] | None = None
    error: InvalidSignal | None = None
    fault: str = ""


def decode_body(body: bytes, fault: str = "") -> DecodedBody:
    """Decode a body, with its numbers rounded until it is known that the key is right. `fault` is kept with it."""
    decoded = decode_as_sent(body)
    return dataclasses.replace(decoded, error=InvalidSignal({"body": fault}), fault=fault) if fault else decoded


def decode_as_sent(body: bytes) -> DecodedBody:
    """Decode a body. One that is no JSON object may still present a right key, which quarantine asks for."""
    try:
        payload = protocol.decode_rounded(body)
    except InvalidSignal as error:
        if found := body_forms.find_object(body):
            payload = protocol.decode_rounded(found.json)
            fault = InvalidSignal({"body": found.fault})
            return DecodedBody(found.json, payload.get(keys.FIELD), payload, fault)
        return DecodedBody(body, keys.find_key(body), error=error)
    return DecodedBody(body, payload.get(keys.FIELD), payload)


def restore_numbers(decoded: DecodedBody) -> DecodedBody:
    """Return a decoded body with its numbers as sent."""
    if decoded.payload is None:
        return decoded
    try:
        payload = protocol.restore_numbers(decoded.payload, decoded.body)
    except InvalidSignal as error:
        return DecodedBody(decoded.body, decoded.key, error=error)
    return decoded if payload is decoded.payload else dataclasses.replace(decoded, payload=payload)


def parse_decoded(account: Account, decoded: DecodedBody, now: datetime) -> Signal:
    """Return the signal in a decoded body. Raises InvalidSignal."""
    if decoded.payload is None or decoded.error:
        raise decoded.error or InvalidSignal()
    return parse_payload(account, keys.remove_key(decoded.payload, decoded.key), now)


def parse_quarantined(account: Account, kept: str, now: datetime) -> Signal:
    """Return the signal in the text that quarantine kept of a request. Raises InvalidSignal."""
    # The text holds no key. Removing one also refuses a payload that is nested too deeply to be written.
    return parse_payload(account, keys.remove_key(protocol.decode(kept.encode()), ""), now)


def parse_payload(account: Account, payload: Mapping[str, Any], now: datetime) -> Signal:
    """Return the signal in a payload without its key. Raises InvalidSignal, also for a type the account rejects."""
    signal = protocol.parse(account.name, payload, now, incomplete=account.incomplete == "accept")
    if account.unknown_types == "reject" and signal.type not in signal_types.TYPES:
        raise InvalidSignal({"type": "is not known, and this account takes known types only"})
    return signal


def text_to_keep(decoded: DecodedBody) -> str:
    """Return the text for quarantine: the payload without its key, or the body as text if it is no JSON object."""
    if decoded.payload is not None:
        try:
            return exact_json.dumps(keys.remove_key(decoded.payload, decoded.key)).decode()
        except InvalidSignal:  # nested too deeply to be written
            pass
    return keys.remove_key_from_text(decoded.body, decoded.key)


def choose_routes(routes: Iterable[Route], signal: Signal) -> tuple[Sequence[Target], Sequence[str]]:
    """Return the targets of a signal, and the names of the enabled routes that did not ask for its type."""
    targets, unrouted = [], []
    for route in routes:
        if not route.enabled:
            continue
        if route.wants(signal.type):
            targets.append(Target(route.name, lane_of(signal, route.order)))
        else:
            unrouted.append(route.name)
    return targets, unrouted
