"""Docstrings are plain English: they begin with a noun or a verb, and name things."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BAD_BEGINNING = re.compile(r"(What|Whether|How|Who|Whose|Where|The same)\b")
RIDDLE = re.compile(r"\b(what|who|whose|those|of which)\b", re.IGNORECASE)
MOST_RIDDLES = 0.3
"""Such words per 100 words of docstrings. Known projects with plain docstrings have less than 0.1."""
MOST_WORDS = 25
"""Words of a sentence in a docstring."""


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each docstring of a file with its line, also the docstrings of constants."""
    for node in ast.walk(ast.parse(path.read_text())):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text


def files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("folder", ["gateway", "plugins", "tests"])
def test_docstrings_begin_with_a_noun_or_a_verb(folder: str) -> None:
    bad = [
        f"{path.relative_to(ROOT)}:{line}: {text.strip()[:60]}"
        for path in files(folder)
        for line, text in docstrings(path)
        if BAD_BEGINNING.match(text.strip())
    ]
    assert bad == []


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a docstring. A colon or a semicolon ends one, as it is a place to breathe."""
    for paragraph in re.split(r"\n\s*\n", text):
        yield from re.split(r"(?<=[.!?:;])\s+", " ".join(paragraph.split()))


def test_a_sentence_has_few_words() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{line}: {sentence[:60]}…"
        for path in files("gateway", "plugins")
        for line, text in docstrings(path)
        for sentence in sentences(text)
        if len(sentence.split()) > MOST_WORDS
    ]
    assert long == []


@pytest.mark.parametrize("folders", [("gateway", "plugins"), ("tests",)], ids=" and ".join)
def test_docstrings_name_things(folders: tuple[str, ...]) -> None:
    texts = [text for path in files(*folders) for _, text in docstrings(path)]
    words = sum(len(text.split()) for text in texts)
    riddles = sum(len(RIDDLE.findall(text)) for text in texts)
    assert 100 * riddles / words <= MOST_RIDDLES, f"{riddles} in {words} words"
