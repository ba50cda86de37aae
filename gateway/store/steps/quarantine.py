"""Keeps refused requests, and marks the ones that were accepted later."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from peewee import Database

from gateway.model import Signal
from gateway.store.rows import clean, dumps, micros, occurred_at
from gateway.store.steps.actions import record_action
from gateway.store.tables import Quarantine, Signals
from gateway.store.values import Actor, Refused


class Release(NamedTuple):
    """A quarantined request that was accepted after all, as the given signal."""

    quarantine_id: int
    signal: Signal
    now: float
    actor: Actor


def quarantine_requests(db: Database, items: Sequence[Refused]) -> list[int]:
    """Keep refused requests, each body once per account; answer each with its id in quarantine."""
    return [quarantine_one(db, item) for item in items]


def quarantine_one(db: Database, refused: Refused) -> int:
    """Keep one refused request, or find the one with an equal body."""
    # PostgreSQL can't store a NUL, and JSON has none unescaped: its picture is kept instead.
    body = refused.body.replace("\0", "\u2400").encode("utf-8", "replace")
    row = {
        "account": refused.account,
        "digest": blake2b(body, digest_size=16).hexdigest(),
        "received_at": micros(refused.received_at),
        "body": body.decode(),
        "errors": dumps({clean(name): clean(text) for name, text in refused.errors.items()}),
    }
    key = (Quarantine.account, Quarantine.digest)
    Quarantine.insert(row).on_conflict(action="nothing", conflict_target=key).execute(db)
    same = (Quarantine.account == row["account"], Quarantine.digest == row["digest"])
    kept: int = Quarantine.select(Quarantine.id).where(*same).scalar(db)
    return kept


def release_quarantined(db: Database, items: Sequence[Release]) -> list[bool]:
    """Mark requests that were accepted after all; answer each with False if it was not in quarantine."""
    return [release_one(db, item) for item in items]


def release_one(db: Database, release: Release) -> bool:
    """Mark one request with its signal, and record the action."""
    signal = release.signal
    same = (Signals.account == signal.account, Signals.identity == signal.identity)
    signal_id = Signals.select(Signals.id).where(*same, Signals.occurred_at == occurred_at(signal)).scalar(db)
    marks = {"accepted_at": micros(release.now), "signal_id": signal_id}
    still = (Quarantine.id == release.quarantine_id, Quarantine.accepted_at.is_null())
    if not Quarantine.update(marks).where(*still).execute(db):
        return False
    detail = {"account": signal.account, "quarantine": release.quarantine_id, "signal": signal_id}
    record_action(db, release.now, release.actor, "release", detail)
    return True
