"""The end of a certificate is read from its file."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from gateway.web.tls import find_end


@pytest.mark.parametrize("end", [datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC), datetime(2060, 1, 2, tzinfo=UTC)])
def test_the_end_of_the_first_certificate_is_found(tmp_path: Path, end: datetime) -> None:
    authority = trustme.CA()
    chain = authority.issue_cert("127.0.0.1", not_after=end).cert_chain_pems
    path = tmp_path / "chain.pem"
    path.write_bytes(b"".join(blob.bytes() for blob in chain) + authority.cert_pem.bytes())
    assert find_end(str(path)) == end.timestamp()


def test_a_file_without_a_certificate_has_no_end(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    assert find_end(str(tmp_path / "empty.pem")) is None
