"""Programs of Debian's packages that some tests need; .ci/run installs them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def find_debian(package: str, *patterns: str) -> Path:
    """The newest program at one of the patterns. Where there is none, the test is skipped; in CI it fails."""
    found = sorted(path for pattern in patterns for path in Path("/").glob(pattern))
    if found and shutil.which(found[-1]):
        return found[-1]
    reason = f"needs Debian's package {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
