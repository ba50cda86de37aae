"""Edits a YAML text in place: what is not edited keeps its comments, order, quotes and spaces to the byte.

Dumping parsed data again would move comments and reflow lines. So an edit inserts or removes text at the marks of the
parser's nodes. `Edits` collects the splices of one text, and proves that their result has the intended content.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

ALIAS = re.compile(r"[\s:,\[{-]*(\*[^\s,\]}]+)")
"""An alias, after the key or the entry before it."""
SIGN = re.compile(r"\s*[:-]")
"""The sign of a value that was left out, after the key or the entry before it."""


class NotEditable(Exception):
    """The text has a form that can't be edited in place, such as an alias where an entry should go."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a collection: its key (None in a sequence), its value, and the offsets of both together."""

    key: Node | None
    value: Node
    start: int
    end: int


def compose(text: str) -> Node | None:
    """Return the root node of a YAML text, None for an empty one. Raises NotEditable."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ruamel warns of an anchor that is defined twice, which YAML allows
            root: Node | None = YAML(typ="safe", pure=True).compose(text)
    except (YAMLError, RecursionError) as error:
        raise NotEditable("the file is not YAML") from error
    return root


def content(node: Node | None) -> Any:
    """Return the content of a node as lists and dicts. A scalar is its tag and text. Raises NotEditable."""
    if isinstance(node, MappingNode):
        found = {key.value if isinstance(key, ScalarNode) else None: content(value) for key, value in node.value}
        if len(found) < len(node.value):
            raise NotEditable("a name is there twice")
        return found
    if isinstance(node, SequenceNode):
        return [content(child) for child in node.value]
    return None if node is None or is_empty(node) else (str(node.tag), node.value)


def is_empty(node: Node) -> bool:
    """Return True for a value that was left out, as in `accounts:`."""
    return isinstance(node, ScalarNode) and node.value == "" and not node.style


class Edits:
    """Splices of one text. Offsets are those of the text before any of them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root = compose(text)
        self.line_break = "\r\n" if "\r\n" in text else "\n"
        self._splices: list[tuple[int, int, str]] = []

    def find(self, place: Sequence[str]) -> Node | None:
        """Return the node at a place in nested mappings, None if there is none."""
        node = self.root
        for step in place:
            found = (entry.value for entry in self.entries(node) if entry.key is not None and entry.key.value == step)
            node = next(found, None)
        return node

    def entries(self, node: Node | None) -> Iterator[Entry]:
        """Yield the entries of a mapping or sequence."""
        pairs = node.value if isinstance(node, MappingNode) else []
        if isinstance(node, SequenceNode):
            pairs = [(None, value) for value in node.value]
        last = int(node.start_mark.index) if node else 0
        for key, value in pairs:
            start, end = (key or value).start_mark.index, 0
            before = int(key.end_mark.index) if key else last
            if is_empty(value):  # its marks are behind the comments that follow
                sign = SIGN.match(self.text, before)
                end = sign.end() if sign else before
                start = start if key else end
            elif value.start_mark.index >= before:
                end = self.end_of(value)
            elif alias := ALIAS.match(self.text, before):  # its node is elsewhere, where the anchor is
                start, end = (start if key else alias.start(1)), alias.end()
            else:
                raise NotEditable("the file's anchors are too intricate")
            yield Entry(key, value, start, end)
            last = end

    def end_of(self, node: Node) -> int:
        """Return the offset behind a node. The parser's mark of a block's end includes the comments that follow."""
        if isinstance(node, CollectionNode) and not node.flow_style:
            return [*self.entries(node)][-1].end
        if isinstance(node, ScalarNode) and node.style in ("|", ">"):
            return len(self.text[: node.end_mark.index].rstrip())
        return int(node.end_mark.index)

    def result(self, change: Callable[[Any], None]) -> str:
        """Return the edited text. `change` makes the intended change in the content; NotEditable if they differ."""
        text, at = "", 0
        for start, end, new in sorted(self._splices, key=lambda splice: splice[:2]):
            text, at = text + self.text[at:start] + new, end
        text += self.text[at:]
        wanted = content(self.root)
        try:
            change(wanted)
        except (KeyError, TypeError, AttributeError):
            raise NotEditable("what is to be edited is not there, or of another form") from None
        if content(compose(text)) != wanted:
            raise NotEditable("the edit would change something else, too")
        return text

    # -- splices

    def splice(self, start: int, end: int, new: str) -> None:
        self._splices.append((start, end, new))

    def append(self, node: CollectionNode, block: list[str], flow: str) -> None:
        """Append an entry to a collection: `block` lines to one in block style, else the text `flow`."""
        entries = [*self.entries(node)]
        if not node.flow_style:
            self.insert_lines(
                self.block_end(entries[-1].end, self.column(entries[-1])), self.column(entries[-1]), block
            )
            return
        at = int(node.end_mark.index) - 1
        end = entries[-1].end if entries else at
        separator = "" if not entries else " " if "," in without_comments(self.text[end:at]) else ", "
        self.splice(end if separator == ", " else at, end if separator == ", " else at, separator + flow)

    def insert_lines(self, at: int, column: int, lines: list[str]) -> None:
        """Insert lines at the end of a line, with this indentation."""
        self.splice(
            at, at, "".join(f"{self.line_break}{' ' * column}{line}" if line else self.line_break for line in lines)
        )

    def remove(self, node: CollectionNode, entry: Entry) -> None:
        """Remove an entry of a collection: in block style, its lines and the comments directly above them."""
        if node.flow_style:
            self._remove_from_flow(node, entry)
            return
        start, end = self.line_start(entry.start), self.block_end(entry.end, self.column(entry))
        column = self.column(entry)
        while start and re.match(rf" {{{column}}}#", self.text[self.line_start(start - 1) : start]):
            start = self.line_start(start - 1)
        end = self.next_line(end)
        above, below = self.text[self.line_start(start - 1) : start], self.text[end : self.next_line(end)]
        if not below.strip():  # an empty line, or the end of the file: one is enough
            is_first = entry.start == next(self.entries(node)).start
            start, end = start - len(above) * (not above.strip()), end + len(below) * is_first
        self.splice(start, end, "")

    def _remove_from_flow(self, node: CollectionNode, entry: Entry) -> None:
        entries = [*self.entries(node)]
        index = [each.start for each in entries].index(entry.start)
        if index + 1 < len(entries):
            self.splice(entry.start, entries[index + 1].start, "")
        else:
            self.splice(entries[index - 1].end if index else entry.start, entry.end, "")

    # -- lines

    def column(self, entry: Entry) -> int:
        """Return the column at which a block's entry begins: that of its key, or of its dash."""
        start = self.line_start(entry.start)
        if entry.key is not None:
            return entry.start - start
        if (dash := self.text.rfind("-", start, entry.start)) < 0:
            raise NotEditable("an entry's dash is not in its line")
        return dash - start

    def line_start(self, at: int) -> int:
        return self.text.rfind("\n", 0, max(at, 0)) + 1

    def next_line(self, at: int) -> int:
        """Return the offset at which the next line begins, or the end of the text."""
        return self.text.find("\n", at) + 1 or len(self.text)

    def line_end(self, at: int) -> int:
        """Return the offset of the line break after an offset, or the end of the text."""
        end = self.text.find("\n", at)
        end = len(self.text) if end < 0 else end
        return end - 1 if self.text[end - 1 : end] == "\r" else end

    def block_end(self, at: int, column: int) -> int:
        """Return the end of the line of an offset, or of the comments below it that are deeper than a column."""
        found = end = self.line_end(at)
        while end < len(self.text):
            start, end = self.text.index("\n", end) + 1, self.line_end(self.text.index("\n", end) + 1)
            line = self.text[start:end]
            if line.strip() and not re.match(rf" {{{column + 1},}}#", line):
                break
            found = end if line.strip() else found
        return found


def without_comments(text: str) -> str:
    return re.sub(r"#[^\n]*", "", text)
