"""The API's paths in config/README.md: each path with its methods, and none that is gone."""

from __future__ import annotations

from gateway.web.admin.app import API
from tests.support.pages import ROOT, rows

PAGE = (ROOT / "config" / "README.md").read_text()


def test_paths_with_their_methods() -> None:
    listed = {first.strip("`"): methods for first, methods, _ in rows(PAGE, "path")}
    assert listed == {path.pattern: ", ".join(path.methods) for path in API}
