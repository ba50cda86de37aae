"""Tryton 7.0 and 8.0: notes, tracking numbers and shipments of sales. See README.md."""

from cloudsignal_tryton.sink import TrytonSink

__all__ = ["TrytonSink"]
