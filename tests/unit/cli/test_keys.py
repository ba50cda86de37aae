"""The commands keys new and keys hash."""

import hashlib
import json

from tests.support.folder import Folder


def test_a_new_key_comes_with_its_hash(folder: Folder) -> None:
    output = folder.run("keys", "new").output
    key = output.partition("key:")[2].split()[0]
    assert f"{{sha256: {hashlib.sha256(key.encode()).hexdigest()}}}" in output
    made = json.loads(folder.run("keys", "new", "--json").output)
    assert made["sha256"] == hashlib.sha256(made["key"].encode()).hexdigest()


def test_a_key_is_hashed_without_being_shown(folder: Folder) -> None:
    output = folder.run("keys", "hash", stdin="my-own-key\n").output
    assert output == f"{{sha256: {hashlib.sha256(b'my-own-key').hexdigest()}}}\n"
    assert folder.run("keys", "hash", "--key", "my-own-key").output == output
    assert json.loads(folder.run("keys", "hash", "--json", stdin="my-own-key").output)["sha256"] in output
    assert "the key is empty" in folder.run("keys", "hash", stdin="\n", code=2).output
