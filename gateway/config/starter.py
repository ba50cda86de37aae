"""Writes a starter configuration that runs unchanged, with a new key."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from gateway.errors import GatewayError
from gateway.keys import hash_key, new_key

TEMPLATES: Mapping[str, str] = {"gateway.yaml": "gateway.yaml", "tenant.yaml": "tenants/my-company.yaml"}
"""Templates in gateway/starter, and the files that they become."""


@dataclass(frozen=True, slots=True)
class Starter:
    """The files written, and the account's key. Show the key once: the files contain only its digest."""

    files: tuple[Path, ...]
    key: str = field(repr=False)


def write_starter(directory: Path, token: Callable[[int], str] = secrets.token_hex) -> Starter:
    """Write the starter into a directory, which is created if needed. Raises GatewayError if a file exists.

    `token` gives random hex for a number of bytes.
    """
    key = new_key(token)
    targets = {directory / target: template for template, target in TEMPLATES.items()}
    for target in targets:
        if target.exists():
            raise GatewayError(f"{target} is already there; nothing was written")
    for target, template in targets.items():
        text = files("gateway").joinpath("starter", template).read_text(encoding="utf-8")
        write_new(target, text.replace("@KEY_SHA256@", hash_key(key).hex()))
    return Starter(tuple(targets), key)


def replace_file(path: Path, text: str) -> None:
    """Write a file that is made by a command, also if it is there. Raises GatewayError if it can't be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise GatewayError(f"{path} can't be written: {error.strerror or type(error).__name__}") from error


def write_new(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise GatewayError(f"{path} can't be written: {error.strerror or type(error).__name__}") from error
