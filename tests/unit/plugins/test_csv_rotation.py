"""Files are finished by day and size. After a crash at any step they are whole, without rows that are written again."""

import asyncio
import gzip
import itertools
import os
from collections import Counter

import pytest
import structlog.testing

from gateway.sink import Misconfigured
from tests.unit.plugins.csv_case import Case, deliveries

pytestmark = pytest.mark.gen_test
DAY = 86400
PART = "bookshop.export.{:06}.csv.part"
FIRST, SECOND = "bookshop.export.2026-11-20-000001.csv", "bookshop.export.2026-11-21-000002.csv"
ORDER = [{"order": "order"}]


def open_file(number):
    return PART.format(number)


async def begin_day(directory, **options):
    """Return a case with daily files and one committed row."""
    case = Case(directory, rotate="daily", **options)
    await case.open()
    await case.deliver(*deliveries("1"))
    return case


# -- by day


async def test_a_day_has_a_file_and_the_open_one_is_no_csv(tmp_path):
    case = Case(tmp_path, rotate="daily")
    await case.open()
    await case.deliver(*deliveries("1", "2"))
    await case.look()
    assert case.files() == {open_file(1): ["1", "2"]}
    case.now += DAY
    await case.look()
    assert case.files() == {open_file(2): [], FIRST: ["1", "2"]}
    await case.deliver(*deliveries("3"))
    case.now += DAY
    await case.look()
    assert case.files() == {open_file(3): [], FIRST: ["1", "2"], SECOND: ["3"]}
    await case.sink.close()


async def test_a_row_of_the_next_day_finishes_the_file_too(tmp_path):
    case = await begin_day(tmp_path)
    case.now += DAY
    await case.deliver(*deliveries("2"))
    assert case.files() == {open_file(2): ["2"], FIRST: ["1"]}
    await case.sink.close()


async def test_a_day_without_rows_has_no_file(tmp_path):
    case = Case(tmp_path, rotate="daily")
    await case.open()
    case.now += 3 * DAY
    await case.look()
    assert case.files() == {open_file(1): []}
    await case.deliver(*deliveries("1"))
    case.now += DAY
    await case.look()
    assert list(case.files()) == [open_file(2), "bookshop.export.2026-11-23-000001.csv"]
    await case.sink.close()


async def test_a_start_after_midnight_finishes_yesterdays_file(tmp_path):
    case = await begin_day(tmp_path)
    await case.sink.close()
    case.now += DAY
    await case.open()
    await case.look()
    assert case.files() == {open_file(2): [], FIRST: ["1"]}
    await case.sink.close()


async def test_the_day_ends_in_the_routes_zone(tmp_path):
    case = await begin_day(tmp_path, timezone="Asia/Tokyo")
    case.now += 5 * 3600  # 00:11 in Tokyo, 15:11 in UTC
    await case.look()
    assert case.files() == {open_file(2): [], FIRST: ["1"]}
    await case.sink.close()


async def test_a_disk_that_fails_at_midnight_is_tried_again(tmp_path, monkeypatch):
    case = await begin_day(tmp_path)
    await case.look()
    case.now += DAY

    def failing(*_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr(os, "rename", failing)
        await case.look()
    assert [entry["event"] for entry in logs] == ["csv.day_not_finished"]
    await case.look()
    assert case.files() == {open_file(2): [], FIRST: ["1"]}
    await case.sink.close()


# -- by size


async def test_no_file_is_larger_than_the_size(tmp_path):
    case = Case(tmp_path, rotate="1KB", columns=ORDER)
    await case.open()
    for batch in chunks(range(1000), 7):
        await case.deliver(*deliveries(*map(str, batch)))
    files = case.files()
    assert len(files) == 5
    assert sorted(itertools.chain(*files.values()), key=int) == [str(n) for n in range(1000)]
    sizes = [(tmp_path / name).stat().st_size for name in files]
    assert max(sizes) <= 1000
    assert sorted(sizes)[1] > 950


def chunks(items, size):
    items = list(items)
    return [items[i : i + size] for i in range(0, len(items), size)]


async def test_a_batch_is_not_split(tmp_path):
    case = Case(tmp_path, rotate="1KB", columns=ORDER)
    await case.open()
    await case.deliver(*deliveries("1"))
    await case.deliver(*deliveries(*map(str, range(1000, 1400))))
    await case.deliver(*deliveries("2"))
    assert [len(orders) for orders in case.files().values()] == [1, 1, 400]


async def test_day_and_size_go_together(tmp_path):
    case = Case(tmp_path, rotate=["daily", "1KB"], columns=ORDER)
    await case.open()
    await case.deliver(*deliveries(*map(str, range(100, 300))))
    await case.deliver(*deliveries("1"))
    case.now += DAY
    await case.deliver(*deliveries("2"))
    assert list(case.files()) == [
        open_file(3),
        "bookshop.export.2026-11-20-000001.csv",
        "bookshop.export.2026-11-20-000002.csv",
    ]
    await case.sink.close()


# -- only what is committed


async def test_a_file_is_not_finished_before_all_in_it_is_committed(tmp_path):
    case = await begin_day(tmp_path)
    await case.write(*deliveries("2"))
    case.now += DAY
    await case.look()
    await case.write(*deliveries("3"))
    assert case.files() == {open_file(1): ["1", "2", "3"]}
    case.commit()
    await case.look()
    assert case.files() == {open_file(2): [], FIRST: ["1", "2", "3"]}
    await case.sink.close()


async def test_what_was_not_committed_is_cut_before_the_file_is_finished(tmp_path):
    case = await begin_day(tmp_path)
    await case.write(*deliveries("2"))
    await case.sink.close()
    case.now += DAY
    await case.open()
    await case.look()
    assert case.files() == {open_file(2): [], FIRST: ["1"]}
    await case.sink.close()


async def test_a_file_taken_before_the_crash_does_not_come_again(tmp_path):
    """All rows are equal here, so only the number shows that the file was finished."""
    case = await begin_day(tmp_path, columns=["type"])
    case.now += DAY
    await case.write(*deliveries("2"))
    (tmp_path / FIRST).unlink()
    await case.restart()
    await case.deliver(*deliveries("2"))
    assert [path.name for path in tmp_path.iterdir()] == [open_file(2)]
    assert len(case.rows(open_file(2))) == 1
    await case.sink.close()


# -- gzip


async def test_finished_files_are_compressed(tmp_path):
    case = Case(tmp_path, rotate="daily", gzip=True)
    await case.open()
    await case.deliver(*deliveries("1", "2"))
    plain = (tmp_path / open_file(1)).read_bytes()
    case.now += DAY
    await case.look()
    assert case.files() == {open_file(2): [], FIRST + ".gz": ["1", "2"]}
    packed = (tmp_path / f"{FIRST}.gz").read_bytes()
    assert gzip.decompress(packed) == plain
    assert packed[4:8] == b"\0\0\0\0"
    assert b"bookshop.export" not in packed
    await case.sink.close()


# -- files in the way


async def test_a_finished_file_is_never_overwritten(tmp_path):
    case = await begin_day(tmp_path)
    (tmp_path / FIRST).write_text("order\nmine\n")
    case.now += DAY
    await case.look()
    taken = "bookshop.export.2026-11-20-000002.csv"
    assert case.files() == {open_file(3): [], FIRST: ["mine"], taken: ["1"]}
    await case.sink.close()


async def test_a_lost_store_begins_after_what_is_there(tmp_path):
    case = await begin_day(tmp_path)
    case.now += DAY
    await case.deliver(*deliveries("2"))
    await case.sink.close()
    case.committed = {}
    await case.open()
    await case.deliver(*deliveries("3"))
    assert case.files() == {open_file(2): ["3"], FIRST: ["1"], f"{open_file(2)}.1": ["2"]}
    await case.sink.close()


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("days", [0, 1, 2, 3])
async def test_an_older_store_cuts_nothing(tmp_path, days, gzipped):
    """The backup is of the first day; the file may have been finished since, and others begun."""
    case = await begin_day(tmp_path, gzip=gzipped)
    await case.deliver(*deliveries("2"))
    backup = dict(case.committed)
    await case.deliver(*deliveries("3"))
    await case.deliver(*deliveries("4"))
    for day in range(days):
        case.now += DAY
        await case.deliver(*deliveries(f"{day}a"))
        await case.deliver(*deliveries(f"{day}b"))
    before = Counter(itertools.chain(*case.files().values()))
    await case.sink.close()
    case.committed = backup
    await case.open()
    await case.look()
    await case.deliver(*deliveries("9"))
    await case.sink.close()
    kept = case.files()
    assert Counter(itertools.chain(*kept.values())) == before + Counter(["9"])
    assert kept[open_file(max(days + 1, 2))] == ["9"]


async def test_a_day_is_not_finished_with_rows_that_may_be_a_batch(tmp_path, monkeypatch):
    def no_attributes(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", no_attributes)
    case = await begin_day(tmp_path)
    await case.write(*deliveries("2"))
    await case.sink.close()
    case.now += DAY
    await case.open()
    await case.look()
    assert case.files() == {open_file(1): ["1", "2"]}
    await case.deliver(*deliveries("2"))
    assert case.files() == {open_file(2): ["2"], FIRST: ["1"]}
    await case.sink.close()


async def test_an_edited_file_is_kept_aside_and_the_next_begun(tmp_path):
    case = await begin_day(tmp_path)
    path = tmp_path / open_file(1)
    path.write_bytes(path.read_bytes()[:-9])
    (tmp_path / "bookshop.export.000001.csv.gz.part").write_bytes(b"half")
    await case.deliver(*deliveries("2"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{open_file(1)}.1", open_file(2)]
    assert case.orders(open_file(2)) == ["2"]
    await case.sink.close()


async def test_other_columns_finish_the_file(tmp_path):
    case = await begin_day(tmp_path, columns=ORDER)
    await case.sink.close()
    case.options["delimiter"] = ";"  # which the header does not tell
    await case.open()
    await case.deliver(*deliveries("2"))
    assert case.files() == {open_file(2): ["2"], FIRST: ["1"]}
    await case.sink.close()


async def test_other_columns_before_the_first_row_leave_nothing_behind(tmp_path):
    case = await begin_day(tmp_path, columns=ORDER)
    case.now += DAY
    await case.look()
    await case.sink.close()
    case.options["columns"] = (("order", "Order"),)
    await case.open()
    assert [path.name for path in sorted(tmp_path.iterdir())] == [open_file(2), FIRST]
    assert (tmp_path / open_file(2)).read_bytes() == b"Order\r\n"
    await case.sink.close()


async def test_files_of_one_name_have_one_writer(tmp_path):
    case = Case(tmp_path, rotate="1KB", filename="shared.csv")
    await case.open()
    await case.deliver(*deliveries("1"))
    other = case.make("other")
    other._mark = None
    with pytest.raises(Misconfigured, match="another route or gateway"):
        await other.open()


# -- a crash at every step


UNLINK = os.unlink
"""The consumer's calls, which the crash does not count."""


class Crash(BaseException):
    """The end of the process: no `except OSError` catches it."""


class Crashing:
    """Ends the process before the n-th call that changes a file."""

    CALLS = ("pwrite", "fsync", "ftruncate", "rename", "unlink")

    def __init__(self, patch, number):
        self.left = number
        for name in self.CALLS:
            patch.setattr(os, name, self.wrap(getattr(os, name)))

    def wrap(self, call):
        def wrapped(*args, **kwargs):
            self.left -= 1
            if self.left == 0:
                raise Crash
            return call(*args, **kwargs)

        return wrapped


class Life:
    """Deliver two signals a day until the crash. A consumer takes each finished file at once."""

    def __init__(self, folder, **options):
        self.case = Case(folder, rotate="daily", columns=ORDER, **options)
        self.left = list("abcd")
        self.taken = Counter()

    async def go_on(self):
        case = self.case
        case.asleep, case.go_on = asyncio.Event(), asyncio.Event()
        try:
            await case.open()
            await case.look()
            while batch := self.left[:2]:
                await case.write(*deliveries(*batch))
                case.commit()
                self.left = self.left[2:]
                case.now += DAY
                self.take()
            await case.look()
        finally:
            if case.sink._watch:
                case.sink._watch.cancel()
            case.sink.output.close()

    def take(self):
        for path in self.case.directory.glob("*"):
            if path.suffix in (".csv", ".gz"):
                self.taken.update(self.case.orders(path.name))
                UNLINK(path)


@pytest.mark.parametrize("gzipped", [False, True])
async def test_a_crash_at_any_step_loses_and_doubles_nothing(tmp_path, monkeypatch, gzipped):
    for number in itertools.count(1):
        life = Life(tmp_path / str(number), gzip=gzipped)
        with monkeypatch.context() as patch:
            crashing = Crashing(patch, number)
            try:
                await life.go_on()
            except Crash:
                life.take()
        await life.go_on()
        life.take()
        assert life.taken == Counter("abcd"), f"crash at call {number}"
        if crashing.left > 0:
            break
    assert number > 20
