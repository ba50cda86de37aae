"""A stub server with TLS, and a client of the sinks that trusts its certificate."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme

from gateway.sink.client import dial
from tests.support.stub import Stub


@asynccontextmanager
async def target(certificate: trustme.LeafCert | None = None) -> AsyncIterator[tuple[Stub, int]]:
    """Run a target, with TLS if it has a certificate, and give its port."""
    options = None
    if certificate is not None:
        options = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(options)
    stub = Stub()
    stub.start(ssl_options=options)
    try:
        yield stub, int(stub.url.rpartition(":")[2])
    finally:
        await stub.stop()


def trust(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client trust the certificates of an authority, and no others."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    monkeypatch.setattr(dial, "tls_context", lambda: context)
