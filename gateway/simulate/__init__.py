"""The simulated vendor: realistic signals of orders, and a client that sends and retries them as the vendor does."""

from gateway.simulate.orders import Event, disturb, simulate_orders
from gateway.simulate.sender import Answer, RetrySchedule, Sender, Summary, Target, percentile

__all__ = [
    "Answer",
    "Event",
    "RetrySchedule",
    "Sender",
    "Summary",
    "Target",
    "disturb",
    "percentile",
    "simulate_orders",
]
