"""The conformance kit's scripted HTTP server, which the doubles here are made of."""

from gateway.testing.stub import Answer, Fault, Request, Stub

__all__ = ["Answer", "Fault", "Request", "Stub"]
