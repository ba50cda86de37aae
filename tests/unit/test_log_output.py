"""The log's thread: lines in order, a reader that stalls or is gone, a full disk, and prints."""

import asyncio
import io
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from gateway.log_output import LineStream, LogOutput, pieces_of, watch_dropped


@dataclass
class Pipe:
    """A pipe whose reader reads only when the test asks for it."""

    reader: int = -1
    writer: int = -1
    read: bytes = b""
    outputs: list[LogOutput] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def read_until(self, text: bytes) -> list[str]:
        """Read until the text has come, and return all lines so far."""
        while text not in self.read:
            self.read += os.read(self.reader, 1 << 16)
        return self.read.decode().splitlines()

    def output(self, **bounds: int) -> LogOutput:
        """Return an output to this pipe, whose thread has ended its work when the test ends."""
        self.outputs.append(LogOutput(self.writer, **bounds))
        return self.outputs[-1]

    def close_reader(self) -> None:
        if self.reader >= 0:
            os.close(self.reader)
        self.reader = -1

    def close(self) -> None:
        self.close_reader()
        assert all(output.drain(10) for output in self.outputs)
        os.close(self.writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def fill(output: LogOutput) -> None:
    """Write a line that fills a pipe, and wait until the thread is blocked by it."""
    output.write("x" * (1 << 20) + "\n")
    while output._lines:
        pass


def test_lines_keep_their_order(pipe: Pipe) -> None:
    output = pipe.output()
    for number in range(1000):
        output.write(f"{number}\n")
    assert pipe.read_until(b"999\n") == [str(number) for number in range(1000)]
    assert output.drain(10)
    assert output.dropped == 0


def test_a_reader_that_stalls_blocks_no_caller_and_is_told_what_was_dropped(pipe: Pipe) -> None:
    output = pipe.output(max_lines=10)
    fill(output)
    for number in range(25):
        output.write(f"line {number}\n")
    assert output.dropped == 15
    assert not output.drain(0.01)

    lines = pipe.read_until(b"dropped\n")
    assert lines[1:] == [*(f"line {number}" for number in range(10)), "15 lines dropped"]
    output.write("again\n")
    assert pipe.read_until(b"again\n")[-1] == "again"
    assert output.drain(10)


def test_waiting_lines_are_bounded_in_bytes(pipe: Pipe) -> None:
    output = pipe.output(max_bytes=2 << 20)
    fill(output)
    for _ in range(5):
        output.write("y" * (1 << 20))
    assert output.dropped == 3


def test_a_line_larger_than_the_bound_is_dropped_and_told(pipe: Pipe) -> None:
    output = pipe.output(max_bytes=100)
    output.write("z" * 101)
    output.write("short\n")
    assert pipe.read_until(b"short\n") == ["1 lines dropped", "short"]


def test_a_reader_that_is_gone_costs_lines_and_nothing_else(pipe: Pipe) -> None:
    output = pipe.output()
    pipe.close_reader()
    for _ in range(3):
        output.write("lost\n")
        assert output.drain(10)
    assert output.dropped == 3


def test_lines_lost_on_a_full_disk_are_told_when_there_is_room(pipe: Pipe) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    output = LogOutput(full)
    for _ in range(2):
        output.write("lost\n")
        assert output.drain(10)
    os.dup2(pipe.writer, full)
    output.write("kept\n")
    assert pipe.read_until(b"kept\n") == ["2 lines dropped", "kept"]
    os.close(full)


def test_a_pipe_that_is_not_blocking_loses_nothing(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    output = pipe.output()
    fill(output)
    output.write("last\n")
    lines = pipe.read_until(b"last\n")
    assert [len(line) for line in lines] == [1 << 20, 4]


def test_lines_are_written_in_pieces_that_a_pipe_takes_whole() -> None:
    batch = [b"a" * 3000, 2, b"b" * 2000, b"c" * 9000, b"d"]
    pieces = list(pieces_of(batch, lambda lines: f"{lines} dropped\n"))
    assert [(place, len(piece)) for place, piece in pieces] == [(0, 3010), (2, 2000), (3, 9000), (4, 1)]
    assert b"".join(piece for _, piece in pieces) == b"a" * 3000 + b"2 dropped\n" + b"b" * 2000 + b"c" * 9000 + b"d"


def test_a_surrogate_is_escaped(pipe: Pipe) -> None:
    pipe.output().write("\udcff é\n")
    assert pipe.read_until(b"\n") == ["\\udcff é"]


def test_lines_of_many_threads_are_whole(pipe: Pipe) -> None:
    output = pipe.output()
    threads = [
        threading.Thread(target=lambda n=n: [output.write(f"{n}-{i}\n") for i in range(200)])  # type: ignore[misc]
        for n in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    output.write("end\n")
    lines = pipe.read_until(b"end\n")
    for n in range(5):
        assert [line for line in lines if line.startswith(f"{n}-")] == [f"{n}-{i}" for i in range(200)]


def test_prints_and_tracebacks_go_the_same_way() -> None:
    output = LogOutput(-1)
    lines: list[str] = []
    output.write = lines.append  # type: ignore[method-assign]
    stream = LineStream(output, lambda line: line.replace("secret", "***"))
    print("a", "secret", file=stream, flush=True)
    print("begun, ", end="", file=stream, flush=True)
    print("ended\nand more", file=stream)
    assert lines == ["a ***\n", "begun, ended\n", "and more\n"]
    stream.write("." * 100_000)
    assert [len(line) for line in lines[3:]] == [100_001]
    with pytest.raises(TypeError):
        stream.write(b"bytes")  # type: ignore[arg-type]
    assert not isinstance(getattr(stream, "buffer", None), io.IOBase)


def test_the_number_of_dropped_lines_is_reported() -> None:
    output = LogOutput(-1, max_lines=0)
    output.write("no room\n")
    reported: list[int] = []

    async def watch() -> None:
        task = asyncio.create_task(watch_dropped(output, reported.append))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(watch())
    assert reported == [1]
