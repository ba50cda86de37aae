"""TLS of the public listener."""

from __future__ import annotations

import ssl

from gateway.config import Config
from gateway.errors import ConfigError, Problem


def make_tls_context(config: Config) -> ssl.SSLContext | None:
    """Return the context of `server.tls`, None if it is not set. Raises ConfigError, see `load_certificate`."""
    if config.server.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_certificate(context, config)
    return context


def load_certificate(context: ssl.SSLContext, config: Config) -> None:
    """Load the certificate of `server.tls` for new connections. Raises ConfigError if it can't be used."""
    tls = config.server.tls
    assert tls is not None
    try:
        # Without a password, OpenSSL would ask for that of an encrypted key at the terminal.
        context.load_cert_chain(tls.certificate, tls.private_key, password="")
    except (OSError, ssl.SSLError) as error:
        message = f"the certificate or its private key can't be used: {error}"
        raise ConfigError([Problem(config.path.name, 0, "server.tls", message)]) from error
