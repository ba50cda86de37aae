"""Finds programs of Debian packages that some tests need. The continuous integration installs them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def find_debian(package: str, *patterns: str) -> Path:
    """Return the newest program that matches a pattern. Without one the test is skipped; in CI it fails."""
    found = sorted(path for pattern in patterns for path in Path("/").glob(pattern))
    if found and shutil.which(found[-1]):
        return found[-1]
    reason = f"needs Debian's package {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
