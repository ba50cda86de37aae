"""Report a broken contract or a test that does not apply, by pytest.

pytest is imported only then: the stub server, targets and samples also work where it is not installed.
"""

from __future__ import annotations


def expect(true: bool, message: str) -> None:
    """Fail the test with the contract's words, and without a traceback, unless `true`."""
    if not true:
        import pytest

        pytest.fail(message, pytrace=False)


def skip(reason: str) -> None:
    """Skip the test."""
    import pytest

    pytest.skip(reason)
