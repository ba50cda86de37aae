"""TLS of the public listener."""

from __future__ import annotations

import base64
import re
import ssl
from datetime import UTC, datetime
from pathlib import Path

from gateway.config import Config, Tls
from gateway.errors import ConfigError, Problem

CERTIFICATE = re.compile(rb"-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----")
PEM = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.+?)-----END", re.DOTALL)
UTC_TIME = 0x17
"""The tag of a date with two digits for its year. GeneralizedTime, the other form, has four."""
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


def find_end(certificate: str) -> float | None:
    """Return the end of the first certificate in a PEM file, in seconds since the epoch; None if it has none."""
    found = PEM.search(Path(certificate).read_bytes())
    if found is None:
        return None
    # Python's only reader of a certificate's dates needs a connection. They are at a fixed place of the DER.
    _, body, _ = read_der(base64.b64decode(found[1]))
    tag, value, rest = read_der(read_der(body)[1])
    if tag == 0xA0:  # the version, which is optional
        tag, value, rest = read_der(rest)
    for _ in range(3):  # serial number, algorithm, issuer
        tag, value, rest = read_der(rest)
    _, _, last = read_der(value)
    tag, value, _ = read_der(last)
    form = "%y%m%d%H%M%SZ" if tag == UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(value.decode(), form).replace(tzinfo=UTC).timestamp()


def read_der(data: bytes) -> tuple[int, bytes, bytes]:
    """Return the tag and the value of the first element, and the bytes behind it."""
    tag, size, start = data[0], data[1], 2
    if size & 0x80:
        start = 2 + (size & 0x7F)
        size = int.from_bytes(data[2:start], "big")
    return tag, data[start : start + size], data[start + size :]


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
