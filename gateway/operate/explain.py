"""Explains, purely, why a signal did or did not reach each route of its account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway import policy
from gateway.model import Account, Route
from gateway.store.values import DeliveryRow, RouteState, SignalRow


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store knows of a signal: its deliveries, the heads of the lanes that they wait in, and what is
    remembered of its account's routes; each by route."""

    signal: SignalRow
    deliveries: Mapping[str, DeliveryRow]
    heads: Mapping[str, DeliveryRow]
    states: Mapping[str, RouteState]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a signal did or did not reach a route: a word for programs and a sentence for people. `sink` is None where
    the route is no longer configured, `delivery` where none was given, `behind` the signal it waits for, if any."""

    route: str
    sink: str | None
    why: str
    text: str
    delivery: DeliveryRow | None = None
    behind: int | None = None


def explain(facts: Facts, account: Account | None, now: float) -> list[Explanation]:
    """One for each route: those configured, in their order, then those that no longer are."""
    routes = account.routes if account else {}
    names = dict.fromkeys([*routes, *sorted(facts.deliveries), *facts.signal.unrouted])
    return [explain_route(name, routes.get(name), facts, now) for name in names]


def explain_route(name: str, route: Route | None, facts: Facts, now: float) -> Explanation:
    delivery, sink = facts.deliveries.get(name), route.sink if route else None
    if delivery is None:
        return Explanation(name, sink, *explain_absence(name, route, facts.signal))
    if delivery.state != "pending":
        return Explanation(name, sink, delivery.state, explain_end(delivery), delivery)
    head = facts.heads.get(name)
    why, text = explain_wait(delivery, head, now)
    block, because = explain_block(route, facts.states.get(name) or RouteState(delivery.account, name))
    if block:
        why, text = (why if why in ("held", "running") else block), f"{text}; {because}"
    return Explanation(name, sink, why, text, delivery, head.signal_id if head else None)


def explain_absence(name: str, route: Route | None, row: SignalRow) -> tuple[str, str]:
    """Why the signal was given no delivery on a route."""
    kind = row.signal.type
    asks = route is not None and route.wants(kind)
    if name in row.unrouted:
        since = "; it does by now, for signals still to come" if asks else ""
        return "unrouted", f"the route did not ask for {kind} when the signal came{since}"
    if route is not None and not route.enabled:
        return "off", "the route is switched off"
    unasked = "" if asks else f", and it does not ask for {kind}"
    return "later", f"the route was added or switched on after the signal was accepted{unasked}"


def explain_end(delivery: DeliveryRow) -> str:
    at, again = moment(delivery.ended_at), ", in a replay" if delivery.replayed else ""
    if delivery.state == "delivered":
        return f"delivered at {at}, by attempt {delivery.attempts}{again}"
    if delivery.state == "filtered":
        return f"the sink had nothing to do for it at {at}{again}: {delivery.reason}"
    return f"given up at {at}{again}: {delivery.reason}"


# -- what is pending


def explain_wait(delivery: DeliveryRow, head: DeliveryRow | None, now: float) -> tuple[str, str]:
    """Where a pending delivery stands, whatever its route does."""
    if delivery.held:
        return "held", "held until its order is known to the account"
    if delivery.due_at is not None:
        return explain_turn(delivery, delivery.due_at, now)
    if head is None or head.due_at is None:
        return "behind", "waits behind another of its order"
    _, does = explain_turn(head, head.due_at, now)
    return "behind", f"waits behind signal {head.signal_id} of its order, which {does}"


def explain_turn(delivery: DeliveryRow, due_at: float, now: float) -> tuple[str, str]:
    """What a delivery waits for whose turn it is."""
    if delivery.leased_until is not None and delivery.leased_until > now:
        return "running", f"is being delivered, in attempt {delivery.attempts + 1}"
    if due_at > now:
        return "retry", f"is tried again at {moment(due_at)}{failures(delivery)}"
    return "due", f"is due since {moment(due_at)}{failures(delivery)}"


def failures(delivery: DeliveryRow) -> str:
    if not delivery.reason:
        return ""
    return f", after {delivery.attempts} failed attempts; the last: {delivery.reason}"


def explain_block(route: Route | None, state: RouteState) -> tuple[str, str]:
    """Why a route delivers nothing now; nothing where it does."""
    if route is None:
        return "unconfigured", "the route is no longer configured, and it waits until it is"
    if not route.enabled:
        return "off", "the route is switched off, and it waits until it is on again"
    status = policy.Breaker.from_state(state).status(state.paused)
    if status is policy.Status.PAUSED:
        return "paused", f"the route is paused since {moment(state.paused_at)}{': ' if state.why else ''}{state.why}"
    if status is policy.Status.OPEN:
        return "open", f"the route's target fails, and is probed at {moment(state.probe_at)}: {state.reason}"
    if status is policy.Status.MISCONFIGURED:
        return "misconfigured", f"the target refuses the route's settings ({state.reason}): mend them"
    return "", ""


def moment(seconds: float | None) -> str:
    """A time for people, to the second; the store may have lost it."""
    return "an unknown time" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
