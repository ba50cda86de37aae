"""The contract's rules for lanes and leases in plain Python. A test compares each store with them."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.model import Dead, Decision, Done, RetryAt


@dataclass
class Entry:
    """A delivery of the one route."""

    lane: str | None
    order: str
    created_at: float
    state: str = "pending"
    due_at: float | None = None
    holder: int | None = None
    leased_until: float | None = None
    attempts: int = 0
    held: bool = False
    replayed: bool = False

    @property
    def waits(self) -> bool:
        return self.state == "pending" and self.due_at is None and not self.held

    @property
    def claimable_at(self) -> float | None:
        return self.due_at if self.leased_until is None else self.leased_until


@dataclass
class LaneModel:
    entries: dict[int, Entry] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    claims: int = 0

    def accept(self, number: int, order: str, lane: str | None, hold: bool, at: float) -> bool:
        """Add a delivery; return True if it is held. Numbers grow, in steps that the store chooses."""
        assert number > max(self.entries, default=0)
        self.entries[number] = Entry(lane, order, at, held=hold and order not in self.known)
        self.settle()
        return self.entries[number].held

    def settle(self) -> None:
        """Promote the first waiting delivery of each lane without a head. Live ones come before replays, and a replay
        that is the head gives way."""
        for entry in self.entries.values():
            if entry.replayed and entry.due_at is not None and entry.holder is None and self.has_live(entry.lane):
                entry.due_at = None
        for entry in sorted(self.entries.values(), key=lambda entry: entry.replayed):
            if entry.waits and (entry.lane is None or not self.has_head(entry.lane)):
                entry.due_at = entry.created_at

    def has_head(self, lane: str) -> bool:
        return any(entry.lane == lane and entry.due_at is not None for entry in self.entries.values())

    def has_live(self, lane: str | None) -> bool:
        """Return True if a live delivery waits in the lane."""
        return lane is not None and any(e.lane == lane and e.waits and not e.replayed for e in self.entries.values())

    def claim(self, limit: int, replays: int, now: float, until: float) -> list[tuple[int, int, bool]]:
        """Claim, and return ids with the numbers of their attempts, and True for replays."""
        self.claims += 1
        due = [
            (e.due_at, number) for number, e in self.entries.items() if e.due_at is not None and e.claimable_at <= now
        ]
        live = [number for _, number in sorted(due) if not self.entries[number].replayed][:limit]
        again = [number for _, number in sorted(due) if self.entries[number].replayed]
        taken = live + again[: min(replays, limit - len(live))]
        for number in taken:
            self.entries[number].leased_until = until
            self.entries[number].holder = self.claims
        return [(number, self.entries[number].attempts + 1, self.entries[number].replayed) for number in taken]

    def record(self, number: int, holder: int, decision: Decision) -> int:
        entry = self.entries[number]
        if entry.state != "pending" or entry.holder != holder:
            return 0
        entry.holder = entry.leased_until = None
        match decision:
            case RetryAt(at, _, counted):
                entry.due_at = at
                entry.attempts += counted
            case Done(state, _):
                entry.due_at, entry.state = None, state
                entry.attempts += 1
            case Dead():
                entry.due_at, entry.state = None, "dead"
                entry.attempts += 1
        self.settle()
        return 1

    def replay(self, state: str | None, now: float) -> int:
        found = [e for e in self.entries.values() if e.state != "pending" and state in (None, e.state)]
        for entry in found:
            entry.state, entry.created_at, entry.attempts, entry.replayed = "pending", now, 0, True
        self.settle()
        return len(found)

    def add_order(self, order: str, now: float) -> int:
        self.known.add(order)
        found = [entry for entry in self.entries.values() if entry.held and entry.order == order]
        for entry in found:
            entry.held, entry.created_at = False, now
        self.settle()
        return len(found)

    def release(self, now: float) -> int:
        leased = [entry for entry in self.entries.values() if entry.holder is not None]
        for entry in leased:
            entry.holder = entry.leased_until = None
            entry.due_at = min(entry.due_at, now)
        return len(leased)
