"""The command tokens new."""

import hashlib
import json

import pytest

from gateway.config import Access, load_config
from tests.support.folder import CONFIG, Folder


@pytest.mark.parametrize(
    ("words", "access"),
    [
        ([], Access("operator", "operator")),
        (["--name", "on call, nights"], Access("on call, nights", "operator")),
        (["--name", "off"], Access("off", "operator")),
        (["--tenant", "acme"], Access("acme", "tenant", tenant="acme")),
        (["--account", "bookshop", "--name", "shop"], Access("shop", "account", account="bookshop")),
    ],
)
def test_a_printed_line_can_be_pasted(folder: Folder, words: list[str], access: Access) -> None:
    output = folder.run("tokens", "new", *words).output
    token, line = (output.partition(f"{name}: ")[2].splitlines()[0].strip() for name in ("token", "config"))
    (folder.path / "gateway.yaml").write_text(f"admin:\n  tokens:\n    {line}\n{CONFIG}")
    folder.run("check")
    admin = load_config(folder.path / "gateway.yaml").admin
    assert admin is not None
    (found,) = admin.tokens
    assert (found.access, found.digest) == (access, hashlib.sha256(token.encode()).digest())
    assert token not in repr(admin)


def test_a_token_as_json(folder: Folder) -> None:
    made = json.loads(folder.run("tokens", "new", "--tenant", "acme", "--json").output)
    assert made["sha256"] == hashlib.sha256(made["token"].encode()).hexdigest()
    assert (made["role"], made["tenant"], made["account"]) == ("tenant", "acme", None)


@pytest.mark.parametrize("words", [["--tenant", "a", "--account", "b"], ["--name", "x" * 65], ["--name", "a\nb"]])
def test_wrong_usage(folder: Folder, words: list[str]) -> None:
    folder.run("tokens", "new", *words, code=2)
