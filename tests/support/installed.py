"""Installs a sink of the tests for another process, without pip."""

from __future__ import annotations

from pathlib import Path


def install_sink(folder: Path, name: str, target: str) -> None:
    """Make a sink known to a process that has `folder` on its path. `target` is its class, as `module:Class`."""
    info = folder / f"{name}_for_tests-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-for-tests\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[cloudsignal.sinks]\n{name} = {target}\n")
