"""Reads a YAML file as plain data with line numbers, and fills in `!env` and `!file`."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.config.references import Unresolved, read_file, read_variable
from gateway.config.yaml_errors import explain
from gateway.errors import Problem

Place = tuple[str | int, ...]
"""The path to a value in a document: ("accounts", "bookshop", "keys", 0)."""

MAX_NODES = 500_000
"""YAML nodes of a document, after aliases: 25,000 accounts in one file. Nested aliases can expand a small file without
limit."""


class Broken:
    """Replaces a value that could not be read, after the error was reported."""


BROKEN = Broken()


@dataclass(slots=True)
class Document:
    """A file's `data`, the line of each place, the `texts` from `!env` and `!file`, its problems and its warnings.

    `file` is its name in messages. Relative paths in it are relative to `directory`. `missing` has the places whose
    variable or file is not there. `partial` is True if these, and faults in sinks' options, are tolerated.
    """

    file: str
    directory: Path
    data: Any = BROKEN
    lines: dict[Place, int] = field(default_factory=dict)
    texts: dict[Place, str] = field(default_factory=dict, repr=False)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    plugin_problems: list[Problem] = field(default_factory=list)
    broken: set[Place] = field(default_factory=set)
    missing: set[Place] = field(default_factory=set)
    partial: bool = False

    def report(self, place: Place, message: str, line: int | None = None) -> None:
        self.problems.append(Problem(self.file, line or self.line(place), show_place(place), message))

    def report_plugin(self, place: Place, message: str) -> None:
        """Report a plugin that can't be loaded. The configuration can be used without it."""
        self.plugin_problems.append(Problem(self.file, self.line(place), show_place(place), message))

    def warn(self, place: Place, message: str) -> None:
        self.warnings.append(Problem(self.file, self.line(place), show_place(place), message))

    def line(self, place: Place) -> int:
        """Return the line of a place, or of the nearest place around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def is_broken(self, place: Place) -> bool:
        """Return True if a missing value was reported at the place, within it or around it."""
        return any(place[: len(known)] == known or known[: len(place)] == place for known in self.broken)


def show_place(place: Place) -> str:
    """Return a place as text: accounts.bookshop.keys[0]."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


def read_document(
    path: Path, file: str, environ: Mapping[str, str], partial: bool = False, texts: Mapping[Path, str] | None = None
) -> Document:
    """Read a file, or its text in `texts` by its resolved path. Its errors are in the document's `problems`."""
    document = Document(file, path.parent, partial=partial)
    try:
        given = texts.get(path.resolve()) if texts else None
        text = path.read_bytes().decode("utf-8-sig") if given is None else given.removeprefix("\ufeff")
    except OSError as error:
        document.problems.append(Problem(file, 0, "", f"can't be read: {error.strerror or type(error).__name__}"))
        return document
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        document.report((), "the file is not UTF-8 text", line)
        return document
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ruamel warns of an anchor that is defined twice, which YAML allows
            root = compose(text)
        document.data = {} if root is None else Builder(document, environ).build(root, ())
    except MarkedYAMLError as error:
        line, message = explain(error, text)
        document.report((), f"not YAML: {message}", line)
    except YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        document.report((), "not YAML: a character that YAML does not allow", line)
    except (RecursionError, TooManyNodes):
        document.report((), "nested too deeply, or too large")
    return document


def compose(text: str) -> Node | None:
    """Return the root node of a YAML text, None if it is empty. Raises YAMLError.

    libyaml reads a text in a tenth of the time. ruamel's own parser reads it again if libyaml refuses it, since its
    errors are explained, and if libyaml might read it in another way.
    """
    with contextlib.suppress(YAMLError):
        if not OWN_PARSER_ONLY.search(text) and nests_little(text):
            fast: Node | None = YAML(typ="safe").compose(text)
            return fast
    own: Node | None = YAML(typ="safe", pure=True).compose(text)
    return own


def nests_little(text: str) -> bool:
    """Return True if lists and mappings nest at most MAX_DEPTH deep."""
    depth = 0
    for event in YAML(typ="safe").parse(text):
        if isinstance(event, CollectionStartEvent):
            depth += 1
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            return False
    return True


OWN_PARSER_ONLY = re.compile(r"[\t\x85\u2028\u2029\ufeff]|^%|(?:^|[\s\[{,])\?\s|:[\]},]|[\[{,] *:", re.MULTILINE)
"""Text that YAML 1.1, libyaml's version, may read in another way than 1.2: line breaks, tabs, directives, complex keys,
and colons within brackets."""
MAX_DEPTH = 100
"""Deepest text for libyaml, which overflows the stack of a thread at some thousands. A configuration has about ten."""


class TooManyNodes(Exception):
    """The document has more than MAX_NODES nodes."""


class Builder:
    """Converts YAML nodes to plain data, and notes the line of each part in the document."""

    def __init__(self, document: Document, environ: Mapping[str, str]) -> None:
        self.document = document
        self.environ = environ
        self._count = 0
        self._scalars: Mapping[str, Callable[[str], Any]] = {
            "null": lambda text: None,
            "bool": read_bool,
            "int": read_int,
            "float": float_of,
            "str": str,
            "timestamp": str,
            "value": str,
        }

    def build(self, node: Node, place: Place) -> Any:
        self._count += 1
        if self._count > MAX_NODES:
            raise TooManyNodes
        self.document.lines.setdefault(place, node.start_mark.line + 1)
        tag = str(node.tag)
        if isinstance(node, ScalarNode):
            return self._scalar(tag, node.value, place)
        if isinstance(node, SequenceNode) and standard(tag) == "seq":
            return [self.build(child, (*place, index)) for index, child in enumerate(node.value)]
        if isinstance(node, MappingNode) and standard(tag) == "map":
            return self._mapping(node, place)
        return self._fail(place, f"{tag} expects text" if tag in ("!env", "!file") else UNKNOWN_TAG)

    def _scalar(self, tag: str, text: str, place: Place) -> Any:
        if tag in ("!env", "!file"):
            return self._refer(tag, text, place)
        if standard(tag) not in self._scalars:
            return self._fail(place, UNKNOWN_TAG)
        try:
            return self._scalars[standard(tag)](text)
        except ValueError:
            return self._fail(place, "not a valid value of its type")

    def _refer(self, tag: str, name: str, place: Place) -> Any:
        try:
            text = read_variable(name, self.environ) if tag == "!env" else read_file(name, self.document.directory)
        except Unresolved as error:
            if error.missing:
                self.document.missing.add(place)
            return self._fail(place, str(error))
        return self._keep(place, text)

    def _keep(self, place: Place, text: str) -> str:
        self.document.texts[place] = text
        return text

    def _fail(self, place: Place, message: str) -> Broken:
        self.document.report(place, message)
        self.document.broken.add(place)
        return BROKEN

    def _mapping(self, node: MappingNode, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[Node] = []
        for key, value in node.value:
            if standard(str(key.tag)) == "merge":
                merged += value.value if isinstance(value, SequenceNode) else [value]
            elif not isinstance(key, ScalarNode) or not standard(str(key.tag)):
                self.document.report(place, "a name must be plain text", key.start_mark.line + 1)
            elif key.value in result:
                first = self.document.line((*place, key.value))
                message = f"defined twice, first on line {first}; names must be unique"
                self.document.report((*place, key.value), message, line_of(key))
            else:
                self.document.lines[(*place, key.value)] = line_of(key)
                result[key.value] = self.build(value, (*place, key.value))
        for other in merged:
            self._merge(other, place, result)
        return result

    def _merge(self, node: Node, place: Place, result: dict[str, Any]) -> None:
        """Merge `<<: *anchor`. Keys of the mapping itself and of earlier anchors take precedence."""
        if not isinstance(node, MappingNode):
            self.document.report(place, "<< expects a mapping", line_of(node))
            return
        pairs = [(key, value) for key, value in node.value if str(key.value) not in result]
        for name, value in self._mapping(MappingNode(node.tag, pairs, node.start_mark), place).items():
            result.setdefault(name, value)


UNKNOWN_TAG = "unknown tag: only !env and !file are known; put text that starts with ! in quotes"


def standard(tag: str) -> str:
    """Return the short name of a tag of YAML itself, "" for other tags."""
    prefix, _, name = tag.rpartition(":")
    return name if prefix == "tag:yaml.org,2002" else ""


def line_of(node: Node) -> int:
    return int(node.start_mark.line) + 1


def read_bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"


def read_int(text: str) -> int:
    digits = text.replace("_", "")
    return int(digits, 0) if re.match(r"[-+]?0[xob]", digits) else int(digits)


def float_of(text: str) -> float:
    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))


def leaves(value: Any) -> Iterator[Any]:
    """Yield all values at any depth that are neither mappings nor lists."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple, set)) else None
    if inner is None:
        yield value
        return
    for each in inner:
        yield from leaves(each)
