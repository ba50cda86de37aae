"""The plugin API: all that a sink's author imports, with gateway.model and gateway.errors. See plugins/README.md."""

from gateway.errors import Misconfigured, Permanent, RetryLater, SinkError, Skip
from gateway.model import ALERTS, ALL, Delivery, SecretValue, Signal
from gateway.sink.api import Check, Context, FileFormat, Shared, Sink, State
from gateway.sink.http import HttpSink, Response
from gateway.sink.options import Secret, Url, address, duration, field_names, flag, header_value, one_of
from gateway.sink.text import compose_note, describe, event, first_line, merge_tracking, one_line, opening
from gateway.sink.writes import Locks, Unanswered, Writes

__all__ = [
    "ALERTS",
    "ALL",
    "Check",
    "Context",
    "Delivery",
    "FileFormat",
    "HttpSink",
    "Locks",
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
    "Unanswered",
    "Url",
    "Writes",
    "address",
    "compose_note",
    "describe",
    "duration",
    "event",
    "field_names",
    "first_line",
    "flag",
    "header_value",
    "merge_tracking",
    "one_line",
    "one_of",
    "opening",
]
