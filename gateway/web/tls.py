"""TLS of the public listener."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

from gateway.config import Config, Tls
from gateway.errors import ConfigError, Problem

CERTIFICATE = re.compile(rb"-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----")
KEY = re.compile(rb"-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----")


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
        setting, message = find_fault(tls, error)
        raise ConfigError([Problem(config.path.name, 0, setting, message)]) from error


def find_fault(tls: Tls, error: Exception) -> tuple[str, str]:
    """Return the setting whose file is wrong, and the reason. OpenSSL's error names neither."""
    certificate, key = "server.tls.certificate", "server.tls.private_key"
    try:
        chain, private = Path(tls.certificate).read_bytes(), Path(tls.private_key).read_bytes()
    except OSError as missing:
        return "server.tls", f"can't read {missing.filename}: {missing.strerror}"
    if not CERTIFICATE.search(chain):
        other = "; it holds a private key: are the two files swapped?" if KEY.search(chain) else ""
        return certificate, f"{tls.certificate} holds no certificate in PEM{other}"
    if not KEY.search(private):
        other = "; it holds a certificate: are the two files swapped?" if CERTIFICATE.search(private) else ""
        return key, f"{tls.private_key} holds no private key in PEM{other}"
    if b"ENCRYPTED" in private:
        return key, f"{tls.private_key} is encrypted: the gateway needs a private key without a password"
    if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
        return key, f"{tls.private_key} is not the private key of the certificate in {tls.certificate}"
    return "server.tls", f"the certificate or its private key can't be used: {error}"
