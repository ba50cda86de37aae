"""The plugin API: all that a sink's author imports, with gateway.model and gateway.errors. See plugins/README.md."""

from gateway.errors import Misconfigured, Permanent, RetryLater, SinkError, Skip
from gateway.model import ALERTS, ALL, Delivery, SecretValue, Signal
from gateway.sink.api import Check, Context, FileFormat, Shared, Sink, State
from gateway.sink.http import HttpSink, Response
from gateway.sink.options import Secret, Url, address, duration, flag, one_of

__all__ = [
    "ALERTS",
    "ALL",
    "Check",
    "Context",
    "Delivery",
    "FileFormat",
    "HttpSink",
    "Misconfigured",
    "Permanent",
    "Response",
    "RetryLater",
    "Secret",
    "SecretValue",
    "Shared",
    "Signal",
    "Sink",
    "SinkError",
    "Skip",
    "State",
    "Url",
    "address",
    "duration",
    "flag",
    "one_of",
]
