"""The conformance kit: pytest tests that check a plugin author's sink against the contract. See plugins/README.md."""

from gateway.testing.http_contract import HttpSinkContract
from gateway.testing.samples import make_delivery, make_signal
from gateway.testing.sink_contract import SinkContract
from gateway.testing.stub import Answer, Fault, Request, Stub
from gateway.testing.target import DoesNotApply, HttpTarget, Target

__all__ = [
    "Answer",
    "DoesNotApply",
    "Fault",
    "HttpSinkContract",
    "HttpTarget",
    "Request",
    "SinkContract",
    "Stub",
    "Target",
    "make_delivery",
    "make_signal",
]
