"""The plugin API: all that a sink's author imports, with gateway.model and gateway.errors. See plugins/README.md."""

from gateway import signal_types
from gateway.errors import Misconfigured, Permanent, RetryLater, SinkError, Skip, Unanswered
from gateway.exact_json import dumps as dump_json
from gateway.model import ALL, Delivery, SecretValue, Signal
from gateway.signal_types import ALERTS, signal_type
from gateway.sink.api import Check, Context, FileFormat, Shared, Sink, State
from gateway.sink.erp_answers import explain_foreign, foreign_error, hint_at_url, parse_answer
from gateway.sink.erp_orders import OrderWait, is_reference, pick_order, require_confirmed, require_reference
from gateway.sink.erp_writes import OrderLocks, WriteGuard
from gateway.sink.http import TRANSIENT_STATUSES, HttpSink, RemoteServer, Response, SendRequest
from gateway.sink.masking import mask_secrets
from gateway.sink.options import Secret, Url, field_names, header_value, option, options_of, proxy_option, server_url
from gateway.sink.recent import RecentDeliveries
from gateway.sink.text import (
    compose_note,
    describe_signal,
    describe_type,
    first_line,
    icon_of,
    is_cleared,
    note_prefix,
    one_line,
    severity_of,
    title_of,
)
from gateway.sink.tracking import has_tracking, merge_tracking
from gateway.validators import ListOf, duration, flag, one_of, shaped

__all__ = [
    "ALERTS",
    "ALL",
    "TRANSIENT_STATUSES",
    "Check",
    "Context",
    "Delivery",
    "FileFormat",
    "HttpSink",
    "ListOf",
    "Misconfigured",
    "OrderLocks",
    "OrderWait",
    "Permanent",
    "RecentDeliveries",
    "RemoteServer",
    "Response",
    "RetryLater",
    "Secret",
    "SecretValue",
    "SendRequest",
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
    "dump_json",
    "duration",
    "explain_foreign",
    "field_names",
    "first_line",
    "flag",
    "foreign_error",
    "has_tracking",
    "header_value",
    "hint_at_url",
    "icon_of",
    "is_cleared",
    "is_reference",
    "mask_secrets",
    "merge_tracking",
    "note_prefix",
    "one_line",
    "one_of",
    "option",
    "options_of",
    "parse_answer",
    "pick_order",
    "proxy_option",
    "require_confirmed",
    "require_reference",
    "server_url",
    "severity_of",
    "shaped",
    "signal_type",
    "signal_types",
    "title_of",
]
