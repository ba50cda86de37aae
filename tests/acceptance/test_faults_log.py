"""The reader of the log stalls or comes back: signals are taken, and the gateway stops when it is asked to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.installed import install_sink
from tests.support.process import ROOT, environment, free_port
from tests.support.scene import Scene, fetch, wait_until


@contextmanager
def logging_to(scene: Scene, port: int, writer: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a gateway whose stdout and stderr are this descriptor, and kill it at the end."""
    scene.gateway.url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gateway", "serve", "--config", "gateway.yaml"]
    with subprocess.Popen(
        command, cwd=scene.folder, env=environment(scene.env), stdout=writer, stderr=writer
    ) as process:
        try:
            wait_until(lambda: is_up(scene), 60, "the gateway to answer")
            yield process
        finally:
            process.kill()


def is_up(scene: Scene) -> bool:
    try:
        return fetch(f"{scene.gateway.url}/healthz").code == 200
    except (urllib.error.URLError, ConnectionError):
        return False


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_log_that_nobody_reads_stops_nothing(tmp_path: Path, format: str) -> None:
    port = free_port()
    scene = Scene(tmp_path, port=port)
    config = tmp_path / "gateway.yaml"
    config.write_text(config.read_text() + f"log: {{format: {format}, level: debug}}\n")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY)
    with logging_to(scene, port, writer) as process:
        for number in range(400):
            assert scene.send(number).code == 200
        assert is_up(scene)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    os.close(writer)
    os.close(reader)
    scene.check_custody_of_signals()


def test_a_gateway_without_stdout_and_stderr_writes_its_log_nowhere(tmp_path: Path) -> None:
    port = free_port()
    scene = Scene(tmp_path, port=port)
    scene.gateway.url = f"http://127.0.0.1:{port}"
    command = f"exec {sys.executable} -m gateway serve --config gateway.yaml >&- 2>&-"
    with subprocess.Popen(["sh", "-c", command], cwd=tmp_path, env=environment(scene.env)) as process:
        wait_until(lambda: is_up(scene), 60, "the gateway to answer")
        assert scene.send(1).code == 200
        scene.check_custody()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    for path in tmp_path.rglob("gateway.db*"):
        assert b"signal.accepted" not in path.read_bytes()


PRINTING = """
import sys
from tests.support.recorder import RecorderSink

class PrintingSink(RecorderSink):
    name = "recorder"

    async def deliver(self, delivery):
        print("x" * 10_000, flush=True)
        print("y" * 10_000, file=sys.stderr)
        await super().deliver(delivery)
"""


def test_a_plugin_that_prints_blocks_nothing(tmp_path: Path) -> None:
    port = free_port()
    scene = Scene(tmp_path, port=port)
    (tmp_path / "path" / "printing.py").write_text(PRINTING)
    for installed in (tmp_path / "path").glob("recorder*.dist-info"):
        shutil.rmtree(installed)
    install_sink(tmp_path / "path", "recorder", "printing:PrintingSink")
    reader, writer = os.pipe()
    with logging_to(scene, port, writer) as process:
        for number in range(50):
            assert scene.send(number).code == 200
        scene.check_custody()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    os.close(reader)
    os.close(writer)


def test_a_reader_that_comes_back_gets_every_line_that_waited(tmp_path: Path) -> None:
    port = free_port()
    scene = Scene(tmp_path, port=port)
    reader, writer = os.pipe()
    read: list[bytes] = []
    with logging_to(scene, port, writer) as process:
        os.close(writer)
        for number in range(300):
            assert scene.send(number).code == 200
        thread = threading.Thread(target=lambda: read.extend(iter(lambda: os.read(reader, 1 << 16), b"")))
        thread.start()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        thread.join(60)
    os.close(reader)
    lines = b"".join(read).decode().splitlines()
    assert sum('"signal.accepted"' in line for line in lines) == 300
    assert '"gateway.stopped"' in lines[-1]


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_last_lines_of_a_process_are_written_whatever_ends_it() -> None:
    begin = "from gateway.log_output import LogOutput; o = LogOutput(2)\nfor i in range(500): o.write(f'{i}\\n')\n"
    for end in ("", "raise SystemExit(3)", "raise ValueError"):
        lines = run_python(begin + end).stderr.splitlines()
        assert lines[:500] == [str(number) for number in range(500)] or "499" in lines, end


def test_lines_of_processes_that_share_a_pipe_are_never_mixed() -> None:
    program = "import sys; from gateway.log_output import LogOutput; o = LogOutput(2)\n"
    program += "for i in range(3000): o.write(sys.argv[1] * 300 + '\\n')"
    reader, writer = os.pipe()
    processes = [subprocess.Popen([sys.executable, "-c", program, name], cwd=ROOT, stderr=writer) for name in "abcd"]
    os.close(writer)
    with os.fdopen(reader) as lines:
        found = {line.rstrip("\n") for line in lines}
    assert [process.wait(60) for process in processes] == [0] * 4
    assert found == {name * 300 for name in "abcd"}


def test_a_forked_child_writes_its_own_lines_only() -> None:
    result = run_python(
        "import os; from gateway.log_output import LogOutput; o = LogOutput(2); o.write('both\\n')\n"
        "if child := os.fork(): os.waitpid(child, 0)\n"
        "else: o.write('child\\n'); o.drain(); os._exit(0)\n"
        "o.write('parent\\n')"
    )
    assert sorted(result.stderr.splitlines()) == ["both", "child", "parent"]
