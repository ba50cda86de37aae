"""Explains why a signal did or did not reach each route of its account.

`explain_signal` and `read_facts` read the store; the rest is pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway import policy
from gateway.config import Config
from gateway.model import Account, Route
from gateway.operate.lookups import find_signal, read_deliveries
from gateway.operate.routes import read_status
from gateway.signal_types import GATEWAY_ALERT
from gateway.store.contract import Records
from gateway.store.values import DeliveryRow, RouteState, SignalRow
from gateway.validators import show_moment


@dataclass(frozen=True, slots=True)
class Facts:
    """The stored facts of a signal. All mappings are by route.

    `heads` are the heads of the lanes that its deliveries wait in, `states` the stored states of its account's routes.
    """

    signal: SignalRow
    deliveries: Mapping[str, DeliveryRow]
    heads: Mapping[str, DeliveryRow]
    states: Mapping[str, RouteState]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The reason why a signal did or did not reach a route: `why` is a word for programs, `text` a sentence.

    `sink` is None if the route is no longer configured, `delivery` is None if the signal has none on the route.
    `behind` is the signal that the delivery waits for, if any. `advice` is a command that helps, "" if none is needed.
    """

    route: str
    sink: str | None
    why: str
    text: str
    delivery: DeliveryRow | None = None
    behind: int | None = None
    advice: str = ""


@dataclass(frozen=True, slots=True)
class ExplainedSignal:
    """A signal with one explanation for each route. `configured` is False if its account has left the configuration."""

    row: SignalRow
    configured: bool
    routes: Sequence[Explanation]


async def explain_signal(store: Records, config: Config, signal_id: int, now: float) -> ExplainedSignal:
    """Explain a signal on every route of its account. Raises GatewayError if there is no such signal."""
    facts = await read_facts(store, signal_id)
    account = config.accounts.get(facts.signal.signal.account)
    return ExplainedSignal(facts.signal, account is not None, explain_routes(facts, account, now))


async def read_facts(store: Records, signal_id: int) -> Facts:
    """Read the facts of a signal. Raises GatewayError if there is no such signal."""
    row = await find_signal(store, signal_id)
    deliveries = {delivery.route: delivery for delivery in await read_deliveries(store, signal_id)}
    states = {
        route: state
        for (owner, route), state in (await store.read_route_states()).items()
        if owner == row.signal.account
    }
    return Facts(row, deliveries, await store.read_heads(signal_id), states)


def explain_routes(facts: Facts, account: Account | None, now: float) -> list[Explanation]:
    """Return one explanation for each route: configured ones in their order, then routes that no longer are."""
    routes = account.routes if account else {}
    names = dict.fromkeys([*routes, *sorted(facts.deliveries), *facts.signal.unrouted])
    return [explain_route(name, routes.get(name), facts, now) for name in names]


def explain_route(name: str, route: Route | None, facts: Facts, now: float) -> Explanation:
    """Explain the signal on one route; `route` is None if it is no longer configured."""
    delivery, sink = facts.deliveries.get(name), route.sink if route else None
    if delivery is None:
        return Explanation(name, sink, *explain_absence(name, route, facts.signal))
    if delivery.state != "pending":
        return Explanation(
            name, sink, delivery.state, explain_end(delivery), delivery, advice=advise(delivery.state, delivery)
        )
    head = facts.heads.get(name)
    why, text = explain_wait(delivery, head, now)
    block, because = explain_block(route, facts.states.get(name) or RouteState(delivery.account, name))
    if block and why in ("held", "running"):
        text = f"{text}; {because}"
    elif block:  # the time of its next try means nothing then
        why, text = block, f"{because}{explain_place(delivery, head)}"
    elif route and delivery.reason:
        text = f"{text}; given up at {moment(delivery.created_at + route.retry.give_up_after)} at the latest"
    behind = head.signal_id if head else None
    return Explanation(name, sink, why, text, delivery, behind, advise(why, delivery, behind))


def advise(why: str, delivery: DeliveryRow, behind: int | None = None) -> str:
    """Return a command that makes a delivery go on, "" if it does by itself or a person must mend something first."""
    account, route, signal = delivery.account, delivery.route, delivery.signal_id
    tried = behind if why == "behind" else signal
    commands = {
        "failing": f"probe {account} {route}",
        "misconfigured": f"probe {account} {route}",
        "paused": f"resume {account} {route}",
        "retry": f"retry {tried} --route {route}",
        "behind": f"retry {tried} --route {route}",
        "held": f"orders add {account} {shlex.quote(delivery.order_reference or delivery.order)}",
        "dead": f"replay {signal} --route {route}",
    }
    return f"cloudsignal {commands[why]}" if why in commands and tried is not None else ""


def explain_absence(name: str, route: Route | None, row: SignalRow) -> tuple[str, str]:
    """Explain why the signal was given no delivery on a route: a word and a sentence."""
    kind = row.signal.type
    asks = route is not None and route.wants(kind)
    if name in row.unrouted and kind == GATEWAY_ALERT and row.signal.text("route") == name:
        return "filtered", "an alert about a route does not go to that route"
    if name in row.unrouted:
        since = "; it does now, for later signals" if asks else ""
        return "filtered", f"the route did not ask for {kind} when the signal came{since}"
    if route is not None and not route.enabled:
        return "off", "the route is switched off"
    unasked = "" if asks else f", and it does not ask for {kind}"
    return "later", f"the route was added or switched on after the signal was accepted{unasked}"


def explain_end(delivery: DeliveryRow) -> str:
    """Describe the end of a delivery that is no longer pending."""
    at, again = moment(delivery.ended_at), ", in a replay" if delivery.replayed else ""
    if delivery.state == "delivered":
        return f"delivered at {at}, by attempt {delivery.attempts}{again}"
    if delivery.state == "filtered":
        return f"filtered at {at}{again}: {delivery.reason}"
    return f"given up at {at}{again}: {delivery.reason}"


# -- pending deliveries


def explain_wait(delivery: DeliveryRow, head: DeliveryRow | None, now: float) -> tuple[str, str]:
    """Describe the place of a pending delivery in its lane, without regard to its route: a word and a sentence."""
    if delivery.held:
        return "held", f"held until its order{reference_of(delivery)} is known to the account"
    if delivery.due_at is not None:
        return explain_turn(delivery, delivery.due_at, now)
    if head is None or head.due_at is None:
        return "behind", "waits behind another delivery of its order"
    _, does = explain_turn(head, head.due_at, now)
    return "behind", f"waits behind signal {head.signal_id} of its order, which {does}"


def explain_turn(delivery: DeliveryRow, due_at: float, now: float) -> tuple[str, str]:
    """Describe the wait of a delivery that is the head of its lane: a word and a sentence."""
    if delivery.is_leased(now):
        return "running", f"is being delivered, in attempt {delivery.attempts + 1}"
    if due_at > now:
        return "retry", f"is tried again at {moment(due_at)}{failures(delivery)}"
    return "due", f"has been due since {moment(due_at)}{failures(delivery)}"


def explain_place(delivery: DeliveryRow, head: DeliveryRow | None) -> str:
    """Describe the wait of a delivery whose route delivers nothing, to follow the reason for that."""
    if delivery.due_at is None:
        before = f"signal {head.signal_id}" if head else "another delivery"
        return f"; the delivery waits behind {before} of its order"
    return f"; the delivery waits{failures(delivery)}"


def failures(delivery: DeliveryRow) -> str:
    """Describe the failed attempts of a delivery, "" if there are none."""
    if not delivery.reason:
        return ""
    attempts = f"{delivery.attempts} failed attempt{'s' if delivery.attempts != 1 else ''}"
    return f", after {attempts}{reference_of(delivery)}; the last: {delivery.reason}"


def reference_of(delivery: DeliveryRow) -> str:
    """Name the order's reference, by which most targets look for it; "" if it has none."""
    return f" (your reference {delivery.order_reference})" if delivery.order_reference else ""


def explain_block(route: Route | None, state: RouteState) -> tuple[str, str]:
    """Explain why a route delivers nothing now: a word and a sentence, both "" if it does deliver."""
    if route is None:
        return "unconfigured", "the route is not configured"
    if not route.enabled:
        return "off", "the route is switched off"
    return explain_status(route, state)


def explain_status(route: Route, state: RouteState) -> tuple[str, str]:
    """Explain why a configured route delivers nothing now, by its stored state."""
    status = read_status(state)
    if status is policy.Status.PAUSED:
        why = f": {state.why}" if state.why else ""
        return "paused", f"the route has been paused since {moment(state.paused_at)}{why}"
    if route.broken:
        return "misconfigured", f"{route.broken}. Mend it, and run `cloudsignal reload`"
    if status is policy.Status.FAILING:
        return "failing", f"the route's target fails, and is probed at {moment(state.probe_at)}: {state.reason}"
    if status is policy.Status.MISCONFIGURED:
        return "misconfigured", f"the target refuses the route's settings ({state.reason}): correct them"
    return "", ""


def moment(seconds: float | None) -> str:
    """Return a time for people, to the second. None, which only a damaged store gives, is "an unknown time"."""
    return "an unknown time" if seconds is None else f"{show_moment(seconds)} UTC"
