"""Plays the sender: realistic lives of orders, and a client that sends and retries as the vendor does."""

from gateway.simulate.lives import Event, disturb, order_lives
from gateway.simulate.sender import Answer, Patience, Sender, Summary, Target, percentile

__all__ = [
    "Answer",
    "Event",
    "Patience",
    "Sender",
    "Summary",
    "Target",
    "disturb",
    "order_lives",
    "percentile",
]
