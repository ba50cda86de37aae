"""Each signal is in the file exactly once, in spite of crashes, cancellation, full disks and moved files."""

import asyncio
import dataclasses
import errno
import os
import threading

import pytest
import structlog.testing
import voluptuous as vol

from cloudsignal_csv import CsvSink
from cloudsignal_csv.rows import DEFAULT_COLUMNS
from gateway.sink import ALL, Context, Misconfigured, RetryLater
from tests.support.factory import make_delivery
from tests.unit.plugins.csv_case import Case, deliveries

pytestmark = pytest.mark.gen_test
HEADER = ",".join(DEFAULT_COLUMNS).encode() + b"\r\n"


def fail(code):
    def failing(*_):
        raise OSError(code, os.strerror(code))

    return failing


# -- rows


async def test_a_new_file_has_a_header_and_a_row_a_signal(tmp_path):
    case = Case(tmp_path / "deep" / "down")
    await case.open()
    assert case.path.read_bytes() == HEADER
    await case.deliver(*deliveries("1", "2"))
    await case.deliver(*deliveries("3"))
    assert case.orders() == ["1", "2", "3"]
    assert case.path.read_bytes().count(HEADER) == 1
    await case.sink.close()


async def test_a_restart_goes_on_where_it_was(tmp_path):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    await case.restart()
    await case.deliver(*deliveries("2"))
    assert case.orders() == ["1", "2"]
    assert case.others() == []


async def test_a_restart_before_the_first_row_writes_no_second_header(tmp_path):
    case = Case(tmp_path)
    await case.open()
    await case.restart()
    await case.deliver(*deliveries("1"))
    assert case.path.read_bytes().startswith(HEADER + b"2026")
    assert case.others() == []


@pytest.mark.parametrize("length", [1, len(HEADER) // 2, len(HEADER) - 1])
async def test_a_header_cut_short_is_written_anew(tmp_path, length):
    case = Case(tmp_path)
    case.path.write_bytes(HEADER[:length])
    await case.open()
    assert case.path.read_bytes() == HEADER
    assert case.others() == []


async def test_options_shape_the_file(tmp_path):
    case = Case(tmp_path, filename="out {route}.txt", delimiter="tab", columns=["type", "order"])
    await case.open()
    await case.deliver(*deliveries("1"))
    assert (tmp_path / "out export.txt").read_bytes() == b"type\torder\r\nItemShipped\t1\r\n"


async def test_the_rows_are_on_the_disk_when_the_batch_returns(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd)))
    case = Case(tmp_path)
    await case.open()
    assert synced == [str(case.path), str(tmp_path)]
    await case.write(*deliveries("1", "2", "3"))
    assert synced[2:] == [str(case.path)]


# -- crashes


async def test_rows_that_were_not_committed_are_cut_and_come_again(tmp_path):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    await case.write(*deliveries("2", "3"))
    await case.restart()
    assert case.orders() == ["1"]
    await case.deliver(*deliveries("2"))
    await case.deliver(*deliveries("3", "4"))
    assert case.orders() == ["1", "2", "3", "4"]
    assert case.others() == []


@pytest.mark.parametrize("torn", [b"20", b'2026-11-20T10:11:12.000Z,"torn\r\n', b"\0" * 5000])
async def test_what_a_crash_tore_is_cut(tmp_path, torn):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    await case.sink.close()
    with case.path.open("ab") as file:
        file.write(torn)
    await case.open()
    await case.deliver(*deliveries("2"))
    assert case.orders() == ["1", "2"]


async def test_rows_of_before_the_first_commit_are_cut_where_they_come_again(tmp_path):
    case = Case(tmp_path)
    await case.open()
    await case.write(*deliveries("1", "2"))
    await case.restart()
    assert case.orders() == ["1", "2"]
    await case.deliver(*deliveries("1", "2", "3"))
    assert case.orders() == ["1", "2", "3"]
    assert case.others() == []


@pytest.mark.parametrize("first", [("1",), ("3",), ("2", "1")])
async def test_rows_of_before_the_first_commit_that_do_not_come_again_are_kept_aside(tmp_path, first):
    """No commit names these rows: they may belong to a store that was lost."""
    case = Case(tmp_path)
    await case.open()
    await case.write(*deliveries("1", "2"))
    await case.restart()
    await case.deliver(*deliveries(*first))
    assert case.orders() == [*first]
    assert case.orders("bookshop.export.csv.1") == ["1", "2"]


async def test_a_batch_that_comes_again_though_its_rows_stand_is_not_written_again(tmp_path):
    case = Case(tmp_path)
    await case.open()
    await case.write(*deliveries("1", "2", "3"))
    case.sink.state.take_changes()  # and the commit fails
    await case.write(*deliveries("1", "2"))
    await case.deliver(*deliveries("3", "4"))
    assert case.orders() == ["1", "2", "3", "4"]
    await case.restart()
    assert case.orders() == ["1", "2", "3", "4"]


async def test_the_position_goes_with_a_batch_that_needed_no_row(tmp_path):
    case = Case(tmp_path)
    await case.open()
    await case.write(*deliveries("1"))
    case.sink.state.take_changes()
    await case.deliver(*deliveries("1"))
    await case.restart()
    assert case.orders() == ["1"]


async def test_after_a_restart_the_last_batch_is_still_known(tmp_path):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    await case.restart()
    await case.deliver(*deliveries("1"))
    assert case.orders() == ["1"]


async def test_the_same_delivery_twice_in_a_batch_is_one_row(tmp_path):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1", "1"))
    assert case.orders() == ["1"]


async def test_another_attempt_is_known_and_a_replay_is_a_new_row(tmp_path):
    case = Case(tmp_path)
    await case.open()
    [delivery] = deliveries("1")
    await case.deliver(delivery)
    await case.deliver(dataclasses.replace(delivery, attempt=2))
    assert case.orders() == ["1"]
    await case.deliver(dataclasses.replace(delivery, created_at=delivery.created_at + 60))
    assert case.orders() == ["1", "1"]


async def test_what_is_remembered_stays_small(tmp_path):
    case = Case(tmp_path)
    await case.open()
    for order in range(20):
        await case.deliver(*deliveries(str(order)))
    assert len(case.committed["recent"]) == 1


# -- cancellation


class BlockedFsync:
    """A stop of the sink's thread in its next fsync, until `go_on` is set."""

    def __init__(self, monkeypatch):
        self.reached, self.go_on = threading.Event(), threading.Event()
        real = os.fsync

        def fsync(fd):
            self.reached.set()
            assert self.go_on.wait(60)
            real(fd)

        monkeypatch.setattr(os, "fsync", fsync)

    async def cancel(self, work):
        """Cancel a call that is in its fsync, as a time limit does."""
        task = asyncio.create_task(work)
        await asyncio.to_thread(self.reached.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("first", ["", "1"])
async def test_a_batch_cancelled_mid_write_leaves_nothing_behind(tmp_path, monkeypatch, first):
    case = Case(tmp_path)
    await case.open()
    if first:
        await case.deliver(*deliveries(first))
    held = BlockedFsync(monkeypatch)
    await held.cancel(case.sink.deliver_batch(deliveries("2", "3")))
    assert case.sink.state.take_changes() == {}
    # The thread still writes: the next batch waits for it, and cuts its rows.
    again = asyncio.create_task(case.deliver(*deliveries("4")))
    await asyncio.sleep(0)
    held.go_on.set()
    await again
    await case.deliver(*deliveries("2", "3"))
    assert case.orders() == [*first, "4", "2", "3"]
    assert case.others() == []


async def test_closing_waits_for_what_is_being_written(tmp_path, monkeypatch):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    held = BlockedFsync(monkeypatch)
    await held.cancel(case.sink.deliver_batch(deliveries("2")))
    closing = asyncio.create_task(case.sink.close())
    await asyncio.sleep(0)
    assert not closing.done()
    held.go_on.set()
    await closing
    await case.open()
    assert case.orders() == ["1"]


async def test_batches_at_once_are_written_one_after_the_other(tmp_path):
    case = Case(tmp_path)
    await case.open()
    await asyncio.gather(*(case.write(*deliveries(f"{n}a", f"{n}b")) for n in range(10)))
    case.commit()
    assert sorted(case.orders()) == sorted(f"{n}{x}" for n in range(10) for x in "ab")


# -- files that are not as they were left


async def test_a_file_that_was_moved_away_is_begun_anew(tmp_path):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    case.path.rename(tmp_path / "taken.csv")
    with structlog.testing.capture_logs() as logs:
        await case.deliver(*deliveries("2"))
    await case.deliver(*deliveries("3"))
    assert case.orders() == ["2", "3"]
    assert b"PO-1001" in (tmp_path / "taken.csv").read_bytes()
    assert case.others() == ["taken.csv"]
    assert [entry["event"] for entry in logs] == ["csv.file_begun"]


@pytest.mark.parametrize("gone", ["file", "directory"])
async def test_a_file_that_was_deleted_while_stopped_is_begun_anew(tmp_path, gone):
    case = Case(tmp_path / "exports")
    await case.open()
    await case.deliver(*deliveries("1"))
    await case.sink.close()
    case.path.unlink()
    if gone == "directory":
        case.directory.rmdir()
    await case.open()
    await case.deliver(*deliveries("2"))
    assert case.orders() == ["2"]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data.replace(b"PO-1001", b"PO-1002"),
        lambda data: data.replace(b"\r\n", b"\n") + b"x" * 100,
        lambda data: b"something else altogether",
    ],
    ids=["shorter", "edited", "saved by an editor", "another"],
)
async def test_a_file_that_was_changed_is_kept_and_a_new_one_begun(tmp_path, change):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    changed = change(case.path.read_bytes())
    case.path.write_bytes(changed)
    await case.deliver(*deliveries("2"))
    assert case.orders() == ["2"]
    assert (tmp_path / "bookshop.export.csv.1").read_bytes() == changed


async def test_an_emptied_file_is_begun_anew(tmp_path):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    case.path.write_bytes(b"")
    await case.deliver(*deliveries("2"))
    assert case.orders() == ["2"]
    assert case.others() == []


async def test_a_file_that_was_there_before_is_never_overwritten(tmp_path):
    case = Case(tmp_path)
    for number in ("", ".1"):
        (tmp_path / f"{case.path.name}{number}").write_text(f"mine{number}\n")
    await case.open()
    await case.deliver(*deliveries("1"))
    assert case.orders() == ["1"]
    assert (tmp_path / "bookshop.export.csv.1").read_text() == "mine.1\n"
    assert (tmp_path / "bookshop.export.csv.2").read_text() == "mine\n"


async def test_other_columns_begin_a_new_file(tmp_path):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    await case.sink.close()
    case.options["columns"] = (("order", "order"),)
    await case.open()
    await case.deliver(*deliveries("2"))
    assert case.path.read_bytes() == b"order\r\n2\r\n"
    assert case.others() == ["bookshop.export.csv.1"]


async def test_a_file_has_one_writer(tmp_path):
    case = Case(tmp_path, filename="shared.csv")
    await case.open()
    await case.deliver(*deliveries("1"))
    other = case.make("other")
    with pytest.raises(Misconfigured, match="another route or gateway"):
        await other.open()
    await case.deliver(*deliveries("2"))
    assert case.orders() == ["1", "2"]
    await case.sink.close()
    await other.open()


async def test_a_file_system_without_locks_will_do(tmp_path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", fail(errno.ENOLCK))
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    assert case.orders() == ["1"]


# -- errors


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
async def test_a_disk_that_fails_is_tried_again(tmp_path, monkeypatch, call, code):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail(code))
        with pytest.raises(RetryLater, match=os.strerror(code)):
            await case.write(*deliveries("2"))
    assert case.sink.state.take_changes() == {}
    assert case.orders() == ["1"]
    await case.deliver(*deliveries("2"))
    assert case.orders() == ["1", "2"]


async def test_a_disk_that_fills_half_way_leaves_no_half_row(tmp_path, monkeypatch):
    case = Case(tmp_path)
    await case.open()
    real, room = os.pwrite, iter([100, 50])

    def pwrite(fd, data, at):
        left = next(room, 0)
        return real(fd, data[:left], at) if left else fail(errno.ENOSPC)()

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", pwrite)
        with pytest.raises(RetryLater):
            await case.write(*deliveries("1", "2"))
    assert case.path.read_bytes() == HEADER
    await case.deliver(*deliveries("1", "2"))
    assert case.orders() == ["1", "2"]


async def test_a_write_in_parts_is_whole(tmp_path, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:7], at))
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1", "2"))
    assert case.orders() == ["1", "2"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
async def test_a_directory_that_may_not_be_written_is_for_a_person(tmp_path, monkeypatch, code):
    case = Case(tmp_path)
    monkeypatch.setattr(os, "open", fail(code))
    with pytest.raises(Misconfigured, match=os.strerror(code)):
        await case.open()


@pytest.mark.parametrize("below", ["", "deeper"])
async def test_a_directory_that_is_a_file_is_for_a_person(tmp_path, below):
    (tmp_path / "file").write_text("")
    case = Case(tmp_path / "file" / below)
    with pytest.raises(Misconfigured):
        await case.open()
    found = await case.sink.check()
    assert not found.ok


# -- check


async def test_the_check_writes_to_the_directory_and_leaves_nothing(tmp_path):
    case = Case(tmp_path)
    found = await case.sink.check()
    assert found.ok
    assert found.details == (f"{tmp_path}: can be written",)
    assert case.others() == []
    await case.open()
    assert (await case.sink.check()).details == (f"{case.path}: {len(HEADER)} bytes",)


async def test_the_check_makes_no_directory(tmp_path):
    case = Case(tmp_path / "deep" / "down")
    found = await case.sink.check()
    assert found.ok
    assert found.details == (f"{tmp_path}/deep/down: will be made",)
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize("there", [True, False])
async def test_the_check_finds_what_may_not_be_written(tmp_path, monkeypatch, there):
    case = Case(tmp_path if there else tmp_path / "deep")
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: fail(errno.EACCES)())
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = await case.sink.check()
    assert not found.ok
    assert "Permission denied" in found.details[0]


# -- options


def options(**given):
    return CsvSink.schema()({"directory": "exports", **given})


def test_the_sink_takes_every_signal_in_batches():
    assert CsvSink.signals == ALL
    assert (CsvSink.batch, CsvSink.concurrency, CsvSink.order) == (250, 1, "lane")


@pytest.mark.parametrize("account", ["..", "../up", "a/b", "/etc/passwd", ".hidden", "a\\b", "a\0b", "a b"])
def test_no_name_leaves_the_directory(tmp_path, account):
    context = Context(account=account, tenant="acme", route="../export")
    path = CsvSink(options(directory=str(tmp_path)), context).output.names.open_path(1)
    assert path.parent == tmp_path
    assert path.resolve().parent == tmp_path.resolve()
    assert path.suffix == ".csv"
    assert not path.name.startswith(".")


@pytest.mark.parametrize("name", ["..", ".", "../up", "a/b", "/etc", ".hidden", "a\\b", "a\0b", "", "{route}"])
def test_a_directory_per_account_is_below_the_one_given(tmp_path, name):
    context = Context(account=name, tenant=name, route="export")
    made = options(directory=f"{tmp_path}/{{tenant}}/of-{{account}}")
    path = CsvSink(made, context).output.names.open_path(1)
    assert path.parent.parent.parent == tmp_path
    assert path.resolve().parent.parent.parent == tmp_path.resolve()
    assert not path.parent.parent.name.startswith(".")


def test_accounts_have_a_directory_each():
    made = options(directory="exports/{account}", filename="{tenant}.csv")
    paths = [
        CsvSink(made, Context(name, "acme", "export")).output.names.open_path(1) for name in ("bookshop", "posters")
    ]
    assert [str(path) for path in paths] == ["exports/bookshop/acme.csv", "exports/posters/acme.csv"]


@pytest.mark.parametrize(
    "filename",
    [
        "",
        " ",
        ".",
        "..",
        "../a.csv",
        "a/b.csv",
        "/a.csv",
        "a\\b",
        "a\0",
        "a\n",
        ".a",
        "a.csv ",
        "{order}.csv",
        "{account",
        "x" * 121,
    ]
    + [7, None],
)
def test_a_bad_file_name_is_refused(filename):
    with pytest.raises(vol.Invalid, match="expected"):
        options(filename=filename)


@pytest.mark.parametrize(
    "given",
    [
        {"directory": ""},
        {"directory": "a\0"},
        {"directory": None},
        {"delimiter": ""},
        {"delimiter": "::"},
        {"delimiter": '"'},
        {"delimiter": ["x"]},
        {"columns": []},
        {"columns": ["apikey"]},
        {"columns": ["type", "type"]},
        {"columns": "type"},
        {"columns": [{"type": "Type", "order": "Order"}]},
        {"columns": [{"apikey": "Key"}]},
        {"columns": [{"type": ""}]},
        {"columns": [{"type": 7}]},
        {"columns": [{"type": "a\nb"}]},
        {"columns": [{"type": "Same"}, {"order": "Same"}]},
        {"columns": [{"type": "order"}, "order"]},
        {"columns": [["type"]]},
        {"encoding": "utf-7"},
        {"encoding": None},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"timezone": ""},
        {"timezone": None},
        {"directory": "exports/{order}"},
        {"rotate": "weekly"},
        {"rotate": "10"},
        {"rotate": "0KB"},
        {"rotate": "2GB"},
        {"rotate": 10},
        {"rotate": []},
        {"rotate": ["never", "10MB"]},
        {"rotate": ["daily", "daily"]},
        {"rotate": ["1MB", "2MB"]},
        {"rotate": None},
        {"gzip": "yes", "rotate": "daily"},
        {"formula_safe": "yes"},
        {"text_columns": ["apikey"]},
        {"text_columns": [["order"]]},
        {"text_columns": True},
        {"text_columns": ["payload"]},
        {"text_columns": ["tracking"], "columns": ["order"]},
        {"colums": ["type"]},
    ],
)
def test_bad_options_are_refused(given):
    with pytest.raises(vol.Invalid):
        options(**given)


def test_text_columns_are_among_the_columns():
    with pytest.raises(vol.Invalid, match="not among the columns: order, tracking") as caught:
        options(columns=[{"type": "Type"}], text_columns=["type", "tracking", "order"])
    assert caught.value.path == ["text_columns"]
    assert options(text_columns="tracking")["text_columns"] == {"tracking"}


def test_gzip_needs_rotation():
    with pytest.raises(vol.Invalid, match="gzip needs rotate") as caught:
        options(gzip=True)
    assert caught.value.path == ["gzip"]
    assert options(gzip=True, rotate="daily")["gzip"]


@pytest.mark.parametrize(
    ("given", "daily", "size"),
    [
        ("never", False, None),
        ("daily", True, None),
        ("10MB", False, 10_000_000),
        ("64 KB", False, 64_000),
        (["daily", "1GB"], True, 1_000_000_000),
    ],
)
def test_rotation(given, daily, size):
    found = options(rotate=given)["rotate"]
    assert (found.daily, found.size) == (daily, size)


async def test_the_state_is_plain_json(tmp_path):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(make_delivery(route="export"))
    number, day, size, tail, form = case.committed["mark"]
    assert (number, day, size) == (1, "2026-11-20", case.path.stat().st_size)
    assert isinstance(tail, str)
    assert form == case.sink.format.digest()


# -- a store that is older than the file


def older(case):
    """Return the state as a backup of the store has it."""
    return dict(case.committed)


async def restore(case, backup):
    await case.sink.close()
    case.committed = dict(backup)
    await case.open()


@pytest.mark.parametrize("stop", ["clean", "killed"])
@pytest.mark.parametrize("batches", [[["2"], ["3"]], [["2", "3"], ["4"]], [["2"], ["3"], ["4", "5"]]])
async def test_rows_that_a_restored_store_does_not_know_are_kept_aside(tmp_path, batches, stop):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    backup = older(case)
    for batch in batches:
        await case.deliver(*deliveries(*batch))
    if stop == "killed":
        case.sink._mark = None  # so that it notes nothing
    with structlog.testing.capture_logs() as logs:
        await restore(case, backup)
    assert case.orders("bookshop.export.csv.1") == ["1", *[order for batch in batches for order in batch]]
    assert [entry["event"] for entry in logs] == ["csv.file_set_aside", "csv.file_begun"]
    assert "the store is older than the file" in logs[0]["reason"]
    await case.deliver(*deliveries("9"))
    assert case.orders() == ["9"]
    await restore(case, backup)
    await case.deliver(*deliveries("10"))
    assert case.orders("bookshop.export.csv.2") == ["9"]
    assert case.orders() == ["10"]


async def test_one_batch_that_was_recorded_is_kept_aside_too(tmp_path):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    backup = older(case)
    await case.deliver(*deliveries("2", "3"))
    await restore(case, backup)
    assert case.orders("bookshop.export.csv.1") == ["1", "2", "3"]


async def test_a_recorded_batch_is_noted_soon_also_without_a_clean_stop(tmp_path, monkeypatch):
    monkeypatch.setattr("cloudsignal_csv.sink.NOTE_AFTER", 0.0)
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    backup = older(case)
    await case.deliver(*deliveries("2"))
    while case.sink.output._file.batch_start() != case.path.stat().st_size:
        await asyncio.sleep(0.001)
    case.sink._mark = None  # killed: it notes nothing more
    await restore(case, backup)
    assert case.orders("bookshop.export.csv.1") == ["1", "2"]


async def test_without_extended_attributes_only_rows_that_come_again_are_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "setxattr", fail(errno.ENOTSUP))
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    await case.write(*deliveries("2", "3"))
    await case.restart()
    assert case.orders() == ["1", "2", "3"], "nothing is decided before the next rows"
    await case.deliver(*deliveries("2", "3", "4"))
    assert case.orders() == ["1", "2", "3", "4"]
    assert case.others() == []
    backup = older(case)
    await case.deliver(*deliveries("5"))
    await restore(case, backup)
    await case.deliver(*deliveries("6"))
    assert case.orders("bookshop.export.csv.1") == ["1", "2", "3", "4", "5"]
    assert case.orders() == ["6"]


@pytest.mark.parametrize("columns", [["order"], ["type", "order"]])
async def test_other_columns_and_an_older_store_lose_nothing(tmp_path, columns):
    case = Case(tmp_path)
    await case.open()
    await case.deliver(*deliveries("1"))
    backup = older(case)
    await case.deliver(*deliveries("2"))
    case.options["columns"] = tuple((name, name) for name in columns)
    await restore(case, backup)
    await case.deliver(*deliveries("3"))
    assert case.orders("bookshop.export.csv.1") == ["1", "2"]
    assert case.orders() == ["3"]
