"""From the store to the sinks: claim, deliver, decide, record."""

from gateway.dispatch.dispatcher import Dispatcher
from gateway.dispatch.runner import Runner

__all__ = ["Dispatcher", "Runner"]
