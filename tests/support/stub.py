"""The conformance kit's scripted HTTP server, the base of the fakes here."""

from gateway.testing.stub import Answer, Fault, Request, Stub

__all__ = ["Answer", "Fault", "Request", "Stub"]
