"""The plugin API: all that a sink's author imports, with gateway.model and gateway.errors. See plugins/README.md."""

from gateway import signal_types
from gateway.errors import Misconfigured, Permanent, RetryLater, SinkError, Skip
from gateway.model import ALL, Delivery, SecretValue, Signal
from gateway.signal_types import ALERTS, signal_type
from gateway.sink.api import Check, Context, FileFormat, Shared, Sink, State
from gateway.sink.erp_writes import OrderLocks, Unanswered, WriteGuard
from gateway.sink.http import HttpSink, Response
from gateway.sink.options import Secret, Url, field_names, header_value, option, options_of, server_url
from gateway.sink.text import (
    compose_note,
    describe_signal,
    describe_type,
    first_line,
    merge_tracking,
    note_prefix,
    one_line,
)
from gateway.validators import ListOf, duration, flag, one_of

__all__ = [
    "ALERTS",
    "ALL",
    "Check",
    "Context",
    "Delivery",
    "FileFormat",
    "HttpSink",
    "ListOf",
    "Misconfigured",
    "OrderLocks",
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
    "WriteGuard",
    "compose_note",
    "describe_signal",
    "describe_type",
    "duration",
    "field_names",
    "first_line",
    "flag",
    "header_value",
    "merge_tracking",
    "note_prefix",
    "one_line",
    "one_of",
    "option",
    "options_of",
    "server_url",
    "signal_type",
    "signal_types",
]
