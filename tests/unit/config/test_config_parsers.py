"""Both YAML parsers give the same document: data, lines and problems."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from gateway.config import document
from gateway.config.document import compose, read_document
from tests.support.pages import ROOT

TEXTS = [path.read_text() for path in sorted([*ROOT.glob("config/**/*.yaml"), *ROOT.glob("gateway/starter/*.yaml")])]
PIECES = (
    *(": ", ":", "- ", "\n", "\n  ", "#", " #", "'", '"', "[", "]", "{", "}", ",", "!env ", "!file ", "&a ", "*a", "~"),
    *(
        "<<: *a",
        "null",
        "yes",
        "0x1F",
        "0o17",
        "017",
        "1_000",
        "1e3",
        ".inf",
        "2026-11-20",
        "12:30",
        "--- ",
        "...",
        "%",
    ),
    *("\t", "|\n", ">\n", "? ", "@", "`", "\u2028", "\x85", "\ufeff", "é", "\U0001f4a5", "\\", "a: b: c", "{a: 1}"),
    *('{"a":1}', "[a, b]", "http://x:1/y", "a:b", "- - x", "\r\n", "=", "!!str 1", "!odd x", "- ? a"),
)


def mutate(text: str, rng: random.Random) -> str:
    """Return the text with some random pieces put in or cut out."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(PIECES) + text[at + rng.choice((0, 0, 1, 5, 40)) :]
    return text


def read(text: str, folder: Path) -> tuple[Any, ...]:
    path = folder / "some.yaml"
    found = read_document(path, "some.yaml", {}, texts={path.resolve(): text})
    return repr(found.data), found.lines, found.texts, found.problems


@pytest.mark.parametrize("seed", range(12))
def test_both_parsers_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    rng = random.Random(seed)
    texts = [mutate(rng.choice(TEXTS)[:1000], rng) for _ in range(10)]
    fast = [read(text, tmp_path) for text in texts]
    monkeypatch.setattr(document, "MAX_DEPTH", -1)
    for text, found in zip(texts, fast, strict=True):
        assert found == read(text, tmp_path), text


def test_the_fast_parser_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = document.YAML
    monkeypatch.setattr(document, "YAML", lambda **options: asked.append(options) or real(**options))
    for text in TEXTS:
        if "@KEY" not in text:  # the starter's templates are no YAML yet
            compose(text)
    assert {"typ": "safe", "pure": True} not in asked


def test_a_text_that_nests_too_deeply_is_told_and_does_no_harm(tmp_path: Path) -> None:
    for text in ("[" * 3000, "- " * 3000, "[" * 3000 + "]" * 3000):
        _, _, _, (problem,) = read(text, tmp_path)
        assert "nested too deeply" in problem.message or "not YAML" in problem.message
