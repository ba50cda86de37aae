"""The conformance kit: tests that hold a plugin author's sink to the contract, by pytest. See plugins/README.md."""

from gateway.testing.contract import SinkContract
from gateway.testing.http import HttpSinkContract
from gateway.testing.samples import make_delivery, make_signal
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
