"""Edits a configuration's files: finds the file, checks the whole configuration with the edit, writes it atomically."""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml.nodes import ScalarNode

from gateway.config.load import DEFAULT_TENANT, load_config
from gateway.config.setting_values import did_you_mean
from gateway.config.settings import Config
from gateway.config.splice import Edits, NotEditable
from gateway.errors import ConfigError, GatewayError, Problem

BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Edit:
    """A file before and after an edit."""

    path: Path
    before: str
    after: str

    def diff(self) -> Iterator[str]:
        """Yield the lines of a unified diff. They show lines around the edit, which may contain secrets."""
        before, after = self.before.splitlines(), self.after.splitlines()
        yield from difflib.unified_diff(before, after, str(self.path), str(self.path), n=2, lineterm="")


def edit_tenant(config: Config, tenant: str, change: Callable[[str], str]) -> Edit:
    """Return an edit of the file with a tenant's accounts. Raises GatewayError if there is none."""
    for path, text in read_texts(config):
        if tenant_of(text, is_main=path == config.path) == tenant:
            return make_edit(path, text, change)
    hint = f"a new one is a file with the line `tenant: {tenant}`, which `include` finds"
    raise GatewayError(f"there is no tenant {tenant!r}{did_you_mean(tenant, list(config.tenants))}; {hint}")


def edit_account(config: Config, account: str, change: Callable[[str], str]) -> Edit:
    """Return an edit of the file that has an account. Raises GatewayError if no file has it."""
    for path, text in read_texts(config):
        if account in text and has_account(text, account):
            return make_edit(path, text, change)
    raise GatewayError(f"there is no account {account!r}{did_you_mean(account, list(config.accounts))}")


def read_texts(config: Config) -> Iterator[tuple[Path, str]]:
    """Yield each file of a configuration with its text."""
    names = (name for include in config.includes for name in include.files)
    for path in dict.fromkeys([config.path, *(config.path.parent / name for name in names)]):
        try:
            yield path, path.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise GatewayError(f"{path} can't be read: {error}") from error


def tenant_of(text: str, is_main: bool) -> str | None:
    """Return the tenant that a file names, or the default one of a main file."""
    with contextlib.suppress(NotEditable):
        node = Edits(text.removeprefix(BOM)).find(("tenant",))
        if isinstance(node, ScalarNode):
            return str(node.value)
        return DEFAULT_TENANT if is_main else None
    return None


def has_account(text: str, account: str) -> bool:
    try:
        return Edits(text.removeprefix(BOM)).find(("accounts", account)) is not None
    except NotEditable:
        return False


def make_edit(path: Path, text: str, change: Callable[[str], str]) -> Edit:
    """Return the edit that `change` makes. Raises GatewayError if the file's form does not allow it."""
    mark = BOM if text.startswith(BOM) else ""
    try:
        return Edit(path, text, mark + change(text.removeprefix(mark)))
    except NotEditable as error:
        raise GatewayError(f"{path} can't be edited by a command: {error}; edit it by hand") from error


def check_edit(config: Config, edit: Edit, environ: Mapping[str, str] = os.environ) -> Config:
    """Return the whole configuration as it would be. Raises ConfigError with the errors that the edit would bring.

    A command's shell may lack the secrets of the gateway's. So errors that were there before are tolerated, if a
    partial load tolerates them too: see `load_config`.
    """
    texts = {edit.path.resolve(): edit.after}
    known = {each.message for each in find_problems(config.path, environ, {})}
    if new := [each for each in find_problems(config.path, environ, texts) if each.message not in known]:
        raise ConfigError(new)
    after = load_config(config.path, environ, partial=True, texts=texts)
    if after.problems:
        raise ConfigError(after.problems)
    return after


def find_problems(path: Path, environ: Mapping[str, str], texts: Mapping[Path, str]) -> Sequence[Problem]:
    """Return everything that is wrong in a configuration."""
    try:
        load_config(path, environ, texts=texts)
    except ConfigError as error:
        return error.problems
    return ()


def write_edit(edit: Edit) -> None:
    """Replace the file in one step: whoever reads it sees it before or after. Mode, owner and links are kept.

    Raises GatewayError if the file changed since it was read, or can't be written.
    """
    target = edit.path.resolve()
    try:
        if target.read_bytes().decode() != edit.before:
            raise GatewayError(f"{edit.path} was changed meanwhile; nothing was written")
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(edit.after.encode())
                file.flush()
                os.fsync(file.fileno())
            keep_owner(target, name)
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise GatewayError(f"{edit.path} can't be written: {reason}; nothing was changed") from error


def keep_owner(target: Path, name: str) -> None:
    """Give a new file the mode and the owner of the one that it replaces. Only root may give a file away."""
    shutil.copymode(target, name)
    found = target.stat()
    with contextlib.suppress(PermissionError):
        os.chown(name, found.st_uid, found.st_gid)
