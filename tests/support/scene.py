"""A gateway in a process of its own, with its sender, targets and operators, for the tests of faults."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from tests.support import post, recorder, rude
from tests.support.payloads import example, key_of, request
from tests.support.process import ROOT, Gateway, run_cli
from tests.support.stub import Stub
from tests.support.world import World

CONFIG = """\
server: {{listen: "127.0.0.1:{port}", grace: {grace}}}
admin: {{listen: "127.0.0.1:0"}}
store: {{url: "sqlite:///{store}"}}
plugins: [{plugins}]
tenant: acme
accounts:
"""
ACCOUNT = """\
  {name}:
    keys: [{key}]
    routes:
"""
ROUTE = """\
      {name}: {{retry: {{{retry}}}, {text}}}
"""
ERP = "sink: recorder, options: {file: erp.jsonl}"


class Answer(NamedTuple):
    code: int
    retry_after: str
    body: dict[str, Any]


class Scene:
    """A folder with a gateway. `routes` maps accounts to their routes (name, and the route as YAML, less `retry`).

    Each signal that was answered 200 is owed: `check_custody` asserts that it is in the store and at the recorder.
    """

    def __init__(
        self,
        folder: Path,
        routes: dict[str, dict[str, str]] | None = None,
        *,
        store: Path = Path("gateway.db"),
        grace: str = "5s",
        give_up: str = "1h",
        retry: str = "first: 0.1s, cap: 0.4s",
        port: int = 0,
        descriptors: int | None = None,
        plugins: str = "recorder, post, rude",
    ) -> None:
        self.folder = folder
        self.store = folder / store
        self.world = World(folder / "world.json")
        self.owed: set[str] = set()
        text = CONFIG.format(port=port, grace=grace, store=store, plugins=plugins)
        waits = f"{retry}, give_up_after: {give_up}"
        for account, named in (routes or {"bookshop": {"erp": ERP}}).items():
            text += ACCOUNT.format(name=account, key=key_of(account))
            text += "".join(ROUTE.format(name=name, text=route, retry=waits) for name, route in named.items())
        (folder / "gateway.yaml").write_text(text)
        for sink in (recorder, post, rude):
            sink.install(folder / "path")
        self.env = {"PYTHONPATH": f"{ROOT}:{folder / 'path'}"}
        program = ("tests.support.world", str(folder / "world.json"))
        self.gateway = Gateway(folder, self.env, program, descriptors=descriptors)

    @contextmanager
    def running(self) -> Iterator[Gateway]:
        """Run the gateway, and stop it as operators do, unless the test has ended it. It must exit with 0."""
        with self.gateway as gateway:
            yield gateway
            if gateway.running:
                assert gateway.terminate() == 0

    def refused_start(self) -> str:
        """Start a gateway that must not come up; return its output."""
        result = run_cli("serve", "--config", "gateway.yaml", cwd=self.folder, env=self.env)
        assert result.returncode == 1, result.stderr
        assert "Traceback" not in result.stderr
        lines = [line for line in result.stderr.splitlines() if not line.startswith("{")]
        assert len(lines) == 1, result.stderr
        return lines[0]

    # -- the sender

    def send(self, number: int, account: str = "bookshop", order: str = "1000") -> Answer:
        """Post the signal of that number, and hold the answer to the promises that every sender gets."""
        payload = example(order=order, item=str(number))
        answer = fetch(f"{self.gateway.url}/signals/{account}", request(payload, key_of(account)))
        assert answer.code in (200, 503), answer
        if answer.code == 503:
            assert int(answer.retry_after) >= 1
            assert "error" in answer.body
        else:
            self.owed.add(f"{account} {number}")
        return answer

    def send_until(self, code: int, numbers: Iterator[int], most: int = 200) -> int:
        """Post one signal after the other until an answer has the code. Return that signal's number."""
        for _ in range(most):
            number = next(numbers)
            if self.send(number).code == code:
                return number
        raise AssertionError(f"none of {most} answers was {code}")

    def resend(self, number: int, within: float = 60.0) -> None:
        """Post a signal again, as senders do, until it is accepted."""
        wait_until(lambda: self.send(number).code == 200, within, f"signal {number} to be accepted")

    # -- operators

    def cli(self, *words: str, code: int = 0) -> str:
        """Return the output of a command, which must end with this exit code."""
        result = run_cli(*words, "--config", "gateway.yaml", cwd=self.folder, env=self.env)
        assert result.returncode == code, result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        return result.stdout + result.stderr

    def cli_json(self, *words: str) -> list[dict[str, Any]]:
        """Return the JSON objects that a command prints."""
        return [json.loads(line) for line in self.cli(*words, "--json").splitlines()]

    def ready(self) -> tuple[int, dict[str, str]]:
        answer = fetch(f"{self.gateway.admin_url}/readyz")
        checks: dict[str, str] = answer.body["checks"]
        return answer.code, checks

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        with urllib.request.urlopen(f"{self.gateway.admin_url}/metrics", timeout=60) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def logged(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """Return the log's lines of an event that have these fields; while the gateway runs, wait for the first.

        Race: a thread writes the log, and an answer may be here before its line. Once the gateway has ended, its log is
        complete, so a test that an event is missing asks then.
        """
        deadline = time.monotonic() + 60
        while not (found := self.logged_so_far(event, **fields)) and self.gateway.running:
            assert time.monotonic() < deadline, f"waited in vain for the log to tell {event} {fields}"
            time.sleep(0.05)
        return found

    def logged_so_far(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """Return such lines that are in the log now."""
        whole = self.gateway.log.read_text().rpartition("\n")[0]  # the last line may be on its way
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event and fields.items() <= line.items()]

    # -- custody

    def rows(self, query: str) -> list[Any]:
        """Return the rows of a query in the store, now."""
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as db:
            return db.execute(query).fetchall()

    def states(self) -> Counter[str]:
        return Counter(state for (state,) in self.rows("SELECT state FROM deliveries"))

    def recorded(self) -> Counter[int]:
        """Return the number of arrivals of each signal at the recorder, by id."""
        path = self.folder / "erp.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return Counter(json.loads(line)["id"] for line in lines)

    def wait_for_delivery(self, within: float = 60.0) -> None:
        """Wait until nothing is pending."""
        wait_until(lambda: not self.states()["pending"], within, "all to be delivered")

    def check_custody_of_signals(self) -> None:
        """Check that each signal answered 200 is in the store once."""
        kept = Counter(f"{account} {item}" for account, item in self.rows("SELECT account, item FROM signals"))
        assert self.owed <= set(kept)
        assert set(kept.values()) == {1}

    def check_custody(self, within: float = 60.0) -> None:
        """Check that each signal answered 200 is in the store once and delivered, and that none is dead."""
        self.wait_for_delivery(within)
        self.check_custody_of_signals()
        assert set(self.states()) == {"delivered"}
        recorded = self.rows("SELECT signal_id FROM deliveries WHERE route = 'erp'")
        assert {signal_id for (signal_id,) in recorded} == set(self.recorded())


def fetch(url: str, body: bytes | None = None) -> Answer:
    """Send a GET, or a POST with a body."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as answer:
            return make_answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return make_answer(error.code, error.headers, error.read())


def make_answer(code: int, headers: Any, body: bytes) -> Answer:
    return Answer(code, headers.get("Retry-After", ""), json.loads(body) if body else {})


def wait_until(condition: Callable[[], object], within: float, what: str) -> None:
    """Wait until the condition holds. Raises AssertionError after `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"waited {within:g} s in vain for {what}"
        time.sleep(0.05)


@contextmanager
def serving(*stubs: Stub) -> Iterator[None]:
    """Let the stubs listen, in a thread with an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(timeout=60)

    async def start() -> None:
        for stub in stubs:
            stub.start()

    async def stop() -> None:
        for stub in stubs:
            await stub.stop()

    try:
        run(start())
        yield
    finally:
        run(stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
