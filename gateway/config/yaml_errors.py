"""Explains errors of YAML in plain words: where the trouble began, and what to look at.

Messages never quote the file: an alias, a tag or a value may be a secret that lacks its quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.tokens import ScalarToken

INDENTATION = "look at the indentation"


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error with its place. `line` is where YAML gave up, `began` where the part around it begins, from 1."""

    lines: Sequence[str]
    problem: str
    context: str
    line: int
    column: int
    began: int

    @property
    def before(self) -> str:
        """The text of the line before the column."""
        return self.lines[self.line - 1][: self.column] if self.line <= len(self.lines) else ""


def explain(error: MarkedYAMLError, text: str) -> tuple[int, str]:
    """Return the line to look at, and a message."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column) if mark else (1, 0)
    began = error.context_mark.line + 1 if error.context_mark else line
    trouble = Trouble(text.splitlines(), error.problem or "", error.context or "", line, column, began)
    for sign, explanation in EXPLANATIONS.items():
        if sign in trouble.problem:
            return explanation(trouble, text)
    return line, describe_literally(error)


def unclosed_quote(trouble: Trouble, text: str) -> tuple[int, str]:
    return trouble.began, "a quotation mark opens here and is never closed"


def misplaced_value(trouble: Trouble, text: str) -> tuple[int, str]:
    """Explain a ": " where YAML expects none."""
    if re.search(r":\s", trouble.before):
        return trouble.line, "a second ': ' in one line: put the value in quotes"
    above = find_above(trouble)
    if above and ":" not in trouble.lines[above - 1]:
        return above, "the line has no ':' between name and value"
    if above and re.match(r"\s*(- )?[\w-]+:\S", trouble.lines[above - 1]):
        return above, "the line needs a space after the ':'"
    return trouble.line, too_deep(above)


def too_deep(above: int) -> str:
    return f"{INDENTATION}: the line is deeper than line {above}, which has a value already"


def find_above(trouble: Trouble) -> int:
    """Return the last line before the trouble that is neither empty nor a comment, 0 if there is none."""
    numbers = range(trouble.line - 1, 0, -1)
    return next((n for n in numbers if re.match(r"\s*[^\s#]", trouble.lines[n - 1])), 0)


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())


def unexpected_token(trouble: Trouble, text: str) -> tuple[int, str]:
    """Explain a token that does not continue the block around it."""
    found = trouble.problem.rpartition("found ")[2].strip("'")
    if found in ("}", "]"):
        return trouble.line, f"a '{found}' too many"
    if found == "<scalar>":
        return text_after_quote(trouble, text)
    if found in ("?", "-", "<block sequence start>"):
        dashes = f"{INDENTATION} and at the '- ': line {trouble.began} begins a "
        kind = "list, and this line is no entry of it" if found == "?" else "part that this line does not continue"
        return trouble.line, dashes + kind
    above = find_above(trouble)
    if above and trouble.column > indent_of(trouble.lines[above - 1]):
        return trouble.line, too_deep(above)
    return trouble.line, f"{INDENTATION}: the line does not fit the part that begins in line {trouble.began}"


def text_after_quote(trouble: Trouble, text: str) -> tuple[int, str]:
    """Explain text that follows a closing quotation mark: the mark may be one that should open a text."""
    first, last = find_quoted(text, trouble)
    if first and first != last:
        return first, f"a quotation mark opens here and is closed only in line {last}: one is missing"
    return trouble.line, "text follows a closing quotation mark: double the mark inside the text, or remove the quotes"


def find_quoted(text: str, trouble: Trouble) -> tuple[int, int]:
    """Return the first and the last line of the last quoted text before the trouble, (0, 0) if there is none."""
    found = (0, 0)
    try:
        for token in YAML(typ="safe", pure=True).scan(text):
            if (token.start_mark.line, token.start_mark.column) >= (trouble.line - 1, trouble.column):
                break
            if isinstance(token, ScalarToken) and token.style in ("'", '"'):
                found = (token.start_mark.line + 1, token.end_mark.line + 1)
    except YAMLError:
        pass
    return found


def unclosed_bracket(trouble: Trouble, text: str) -> tuple[int, str]:
    sign = "{" if "mapping" in trouble.context else "["
    end = "}" if sign == "{" else "]"
    where = f"the '{sign}' of line {trouble.began}" if trouble.began != trouble.line else f"the '{sign}'"
    return trouble.line, f"{where} is not closed by '{end}', or a ',' is missing"


def wrong_sign(trouble: Trouble, text: str) -> tuple[int, str]:
    """Explain a sign that can't begin a value."""
    if "'\\t'" in trouble.problem:
        return trouble.line, "a tab: indent with spaces, not with tabs"
    return trouble.line, "a value that begins with this sign must be in quotes"


def simple(message: str) -> Callable[[Trouble, str], tuple[int, str]]:
    """Return an explanation that is the same for each such error."""
    return lambda trouble, text: (trouble.line, message)


EXPLANATIONS: dict[str, Callable[[Trouble, str], tuple[int, str]]] = {
    "found unexpected end of stream": unclosed_quote,
    "mapping values are not allowed": misplaced_value,
    "sequence entries are not allowed": simple(f"{INDENTATION}: a '- ' can't begin here"),
    "expected <block end>": unexpected_token,
    "expected '<document start>'": simple(f"{INDENTATION}: the line is not as deep as the first one"),
    "expected ',' or": unclosed_bracket,
    "could not find expected ':'": lambda trouble, text: (
        trouble.began,
        "the line has no ':' between name and value",
    ),
    "that cannot start any token": wrong_sign,
    "expected alphabetic or numeric character": simple("a value that begins with * or & must be in quotes"),
    "found undefined alias": simple("a value that begins with * must be in quotes; there is no anchor of this name"),
    "found unknown escape character": simple("in double quotes a backslash begins an escape: use single quotes"),
    "found another document": simple("one document a file: remove the line '---'"),
    "expected the node content": simple("a value is missing, or a ',' is too many"),
}
"""Explanations by what the parser says."""


def describe_literally(error: MarkedYAMLError) -> str:
    """Return the parser's own words, without words of the file."""
    problem = " ".join(part for part in (error.context, error.problem) if part).split("\n")[0]
    return re.sub(r"'([^']*)'", lambda quoted: quoted[0] if is_syntax(quoted[1]) else "'***'", problem)


def is_syntax(quoted: str) -> bool:
    """Return True if the text is a YAML sign or token type, not a word of the file."""
    return quoted.startswith("<") or not re.search(r"\w\w", quoted)
