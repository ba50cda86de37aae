"""The commands keys new and keys hash."""

import hashlib
import json
import re

import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.support.folder import CONFIG, Folder


def test_a_new_key_comes_with_its_hash(folder: Folder) -> None:
    output = folder.run("keys", "new").output
    key = output.partition("key:")[2].split()[0]
    assert f"{{sha256: {hashlib.sha256(key.encode()).hexdigest()}}}" in output
    made = json.loads(folder.run("keys", "new", "--json").output)
    assert made["sha256"] == hashlib.sha256(made["key"].encode()).hexdigest()


def test_many_keys_are_made_at_once(folder: Folder) -> None:
    output = folder.run("keys", "new", "--count", "60").output
    assert len(set(re.findall(r"^key:    (\S{32})$", output, re.MULTILINE))) == 60
    assert len(folder.run("keys", "new", "--count", "3", "--json").output.splitlines()) == 3
    folder.run("keys", "new", "--count", "0", code=2)


def test_a_printed_line_can_be_pasted(folder: Folder) -> None:
    line = folder.run("keys", "new").output.partition("config: ")[2].splitlines()[0]
    (folder.path / "gateway.yaml").write_text(CONFIG.replace("[test-key-of-the-bookshop]", f"\n    {line}"))
    folder.run("check")


def test_a_key_is_hashed_without_being_shown(folder: Folder) -> None:
    output = folder.run("keys", "hash", stdin="my-own-key-of-the-shop\n").output
    assert output == f"- {{sha256: {hashlib.sha256(b'my-own-key-of-the-shop').hexdigest()}}}\n"
    assert folder.run("keys", "hash", "--key", "my-own-key-of-the-shop").output == output
    assert json.loads(folder.run("keys", "hash", "--json", stdin="my-own-key-of-the-shop").output)["sha256"] in output
    assert "the key is empty" in folder.run("keys", "hash", stdin="\n", code=2).output


@pytest.mark.parametrize(
    ("stdin", "fault"),
    [
        (" 13b37bb1ed6d3403e158abe719b4f6d0 \n", "has spaces or line breaks around it"),
        ("\ufeff13b37bb1ed6d3403e158abe719b4f6d0\n", "byte order mark"),
        ('"13b37bb1ed6d3403e158abe719b4f6d0"\r\n', "has quotes around it"),
        ("acme-books\n", "shorter than 16"),
    ],
)
def test_a_key_that_the_configuration_would_refuse_is_not_hashed(folder: Folder, stdin: str, fault: str) -> None:
    assert fault in folder.run("keys", "hash", stdin=stdin, code=2).output
    assert fault in folder.run("keys", "hash", "--key", stdin.rstrip("\r\n"), code=2).output


def test_a_key_in_another_encoding_is_not_hashed(folder: Folder) -> None:
    result = CliRunner().invoke(main, ["keys", "hash"], input="13b37bb1ed6d3403e158abe719b4f6d0\n".encode("utf-16"))
    assert result.exit_code == 2
    assert "not UTF-8" in result.output
