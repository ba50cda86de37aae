"""The command export."""

import dataclasses
import gzip
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cloudsignal_csv.rows import Format
from gateway.errors import StoreError
from gateway.model import Signal
from gateway.operate import export
from gateway.store.contract import Store
from gateway.store.reads import listings
from gateway.store.values import Target
from tests.support.factory import make_signal
from tests.support.folder import CONFIG, Folder


async def fill(store: Store) -> list[Signal]:
    """Store seven signals, one an hour from 10:11:12 on; the second and the fourth are of the account posters."""
    signals = []
    for number in range(7):
        account = "posters" if number in (1, 3) else "bookshop"
        signal = make_signal(account=account, order=str(number), tracking="=1+1")
        signal = dataclasses.replace(signal, received_at=signal.received_at + timedelta(hours=number))
        accepted = await store.accept(signal, [Target("export", signal.order)], [], False)
        signals.append(dataclasses.replace(signal, id=accepted.signal_id))
    return signals


@pytest.fixture
def signals(folder: Folder) -> list[Signal]:
    found: list[Signal] = folder.fill(fill)
    return found


def written(signals: list[Signal], **options: object) -> bytes:
    form = Format(**options)  # type: ignore[arg-type]
    return form.header() + form.rows(signals)


def test_all_signals_go_to_standard_output_oldest_first(folder: Folder, signals: list[Signal]) -> None:
    result = folder.run("export")
    assert result.stdout_bytes == written(signals)
    assert "7 signals written." in result.stderr


def test_a_window_is_read_in_pages(folder: Folder, signals: list[Signal], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "SIGNALS_PER_PAGE", 2)
    window = ("--since", "2026-11-20T11:00", "--until", "2026-11-20T15:30")
    assert folder.run("export", *window).stdout_bytes == written(signals[1:6])


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (("--account", "posters"), (1, 3)),
        (("--order", "4"), (4,)),
        (("--type", "ItemError"), ()),
        (("--route", "export", "--account", "bookshop"), (0, 2, 4, 5, 6)),
        (("--route", "alerts"), ()),
    ],
)
def test_filters_are_those_of_the_other_commands(
    folder: Folder, signals: list[Signal], words: tuple[str, ...], chosen: tuple[int, ...]
) -> None:
    assert folder.run("export", *words).stdout_bytes == written([signals[n] for n in chosen])


@pytest.mark.parametrize("words", [(), ("--gzip",)])
def test_the_same_window_gives_the_same_bytes(folder: Folder, signals: list[Signal], words: tuple[str, ...]) -> None:
    for name in ("one", "two"):
        result = folder.run("export", "--until", "2026-11-21", "--output", name, *words)
        assert f"7 signals written to {name}." in result.stderr
        folder.fill(fill)  # of which all are duplicates
    one, two = Path("one").read_bytes(), Path("two").read_bytes()
    assert one == two
    assert (gzip.decompress(one) if words else one) == written(signals)
    assert sorted(path.name for path in Path().iterdir() if path.suffix == ".part") == []


def test_options_shape_the_file(folder: Folder, signals: list[Signal]) -> None:
    words = ["delimiter=tab", "columns=[{order: Order no}, received_at]", "timezone=Asia/Tokyo", "formula_safe=false"]
    result = folder.run("export", *(part for word in words for part in ("--set", word)))
    columns = (("order", "Order no"), ("received_at", "received_at"))
    assert result.stdout_bytes == written(
        signals, columns=columns, delimiter="\t", timezone=ZoneInfo("Asia/Tokyo"), formula_safe=False
    )
    assert b"\r\n0\t2026-11-20T19:11:12.000+09:00\r\n" in result.stdout_bytes


def test_a_routes_options_shape_it_too(folder: Folder, signals: list[Signal]) -> None:
    text = CONFIG.replace("{directory: exports}", "{directory: exports, delimiter: ';', columns: [order, tracking]}")
    (folder.path / "gateway.yaml").write_text(text)
    columns = (("order", "order"), ("tracking", "tracking"))
    result = folder.run("export", "--like", "bookshop/export")
    assert result.stdout_bytes == written(signals, columns=columns, delimiter=";")
    result = folder.run("export", "--like", "bookshop/export", "--set", "delimiter=,")
    assert result.stdout_bytes == written(signals, columns=columns)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--like", "bookshop"), "expected an account's route"),
        (("--like", "bokshop/export"), "there is no account 'bokshop'; did you mean 'bookshop'?"),
        (("--like", "bookshop/exprt"), "the account bookshop has no route 'exprt'; did you mean 'export'?"),
        (("--set", "delimiter"), "expected OPTION=VALUE"),
        (("--set", "delimiter=::"), "delimiter: expected one of"),
        (("--set", "columns=[order"), "columns: not valid YAML"),
        (("--set", "directory=elsewhere"), "directory: extra keys not allowed"),
    ],
)
def test_wrong_usage_says_what_is_expected(folder: Folder, words: tuple[str, ...], told: str) -> None:
    assert told in folder.run("export", *words, code=2).output


def test_a_route_without_a_file_format_is_an_error(folder: Folder) -> None:
    (folder.path / "gateway.yaml").write_text(
        CONFIG.replace("[csv]", "[csv, slack]").replace(
            "sink: csv, options: {directory: exports}",
            'sink: slack, options: {webhook_url: "https://hooks.slack.com/services/T/B/x"}',
        )
    )
    assert "the sink slack writes no files" in folder.run("export", "--like", "bookshop/export", code=1).output


def test_some_sink_must_write_files(folder: Folder) -> None:
    text = CONFIG.partition("    routes:")[0].replace("[csv]", "[slack]")
    (folder.path / "gateway.yaml").write_text(text)
    assert "add csv to plugins" in folder.run("export", code=1).output


def test_a_file_that_can_not_be_written_is_named(folder: Folder) -> None:
    assert "nowhere/a.csv can't be written" in folder.run("export", "--output", "nowhere/a.csv", code=1).output


def test_a_file_is_whole_or_not_there(folder: Folder, signals: list[Signal], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "SIGNALS_PER_PAGE", 2)
    real = listings.list_signals_after

    def failing(db: object, which: object, after: int, limit: int) -> object:
        if after > 2:
            raise StoreError("gone")
        return real(db, which, after, limit)  # type: ignore[arg-type]

    Path("a.csv").write_text("of yesterday")
    monkeypatch.setattr(listings, "list_signals_after", failing)
    assert "gone" in folder.run("export", "--output", "a.csv", code=1).output
    assert Path("a.csv").read_text() == "of yesterday"
    assert not Path("a.csv.part").exists()


def test_text_columns_shape_it_too(folder: Folder, signals: list[Signal]) -> None:
    result = folder.run("export", "--set", "columns=[order, tracking]", "--set", "text_columns=[tracking]")
    columns = (("order", "order"), ("tracking", "tracking"))
    assert result.stdout_bytes == written(signals, columns=columns, text_columns=frozenset({"tracking"}))
    assert b'0,"=""=1+1"""\r\n' in result.stdout_bytes
