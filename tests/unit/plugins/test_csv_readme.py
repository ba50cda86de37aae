"""The csv plugin's README names all options and columns, with true examples."""

import re
import shlex

from cloudsignal_csv import CsvSink
from cloudsignal_csv.file_names import FileNames, Rotation
from cloudsignal_csv.rows import COLUMNS, DEFAULT_COLUMNS, ENCODINGS, Format
from gateway import signal_types
from gateway.cli import main
from tests.support.factory import make_signal
from tests.support.pages import section
from tests.support.sink_page import option_table, read_page

PAGE = read_page("csv")


def test_the_page_has_the_table_of_options() -> None:
    columns = f"`[{', '.join(DEFAULT_COLUMNS)}]`"
    assert option_table(CsvSink.options).replace(columns, f"the first {len(DEFAULT_COLUMNS)} below") in PAGE


def test_the_page_names_every_column_in_order_and_every_encoding() -> None:
    table = section(PAGE, "## What each signal does").partition("| column |")[2].partition("\n\n")[0]
    first_cells = [line.split(" | ")[0] for line in table.splitlines()]
    assert re.findall(r"`(\w+)`", "".join(first_cells)) == list(COLUMNS)
    for encoding in ENCODINGS:
        assert f"`{encoding}`" in PAGE


def test_the_page_shows_the_first_rows() -> None:
    sample = re.search(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    signals = [
        make_signal(signal_types.ITEM_SHIPPED, id=1),
        make_signal(signal_types.ITEM_CANCELED, id=2, message='Spine "too wide",\nsee proof'),
        make_signal(signal_types.ITEM_ERROR, id=3, cause="=1+1"),
    ]
    assert sample
    assert sample[1] == (Format().header() + Format().rows(signals)).decode().replace("\r\n", "\n")


def test_the_page_shows_the_files_names() -> None:
    names = FileNames("exports", "bookshop.export.csv", Rotation(daily=True))
    for path in (names.open_path(7), names.finished_path(6, "2026-11-20", False)):
        assert f"    {path.name} " in PAGE


def test_the_pages_commands_are_commands() -> None:
    lines = re.findall(r"^    cloudsignal (.*)$", section(PAGE, "## Any window of the past"), re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        name, *words = shlex.split(line)
        main.commands[name].make_context(name, words)
        for option in re.findall(r"--set (\w+)", line):
            assert option in CsvSink.file_options
