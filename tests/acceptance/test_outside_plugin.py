"""A plugin of an outside author is found, enabled and delivers. Broken plugins are named and do no harm."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.support import example
from tests.support.payloads import KEY, request
from tests.support.payloads import example as payload
from tests.support.process import Gateway, run_cli
from tests.support.scene import fetch
from tests.support.stub import Answer, Request, Stub

TOKEN = "token-of-the-desk-2f8a"
SINK = (
    "from gateway.sink import Sink\n\n\nclass Broken(Sink):\n    summary = 'x'\n    async def deliver(self, d): ...\n"
)
BROKEN = {
    "crashing": ("import not_there_at_all\n", "No module named 'not_there_at_all'"),
    "misnamed": (f"{SINK}    name = 'another'\n", "the class's name is 'another'"),
    "unschemed": (f"{SINK}    name = 'unschemed'\n    options = ['url']\n", "the options are not a schema"),
}
CONFIG = """\
server: {listen: "127.0.0.1:0"}
store: {url: "sqlite:///gateway.db"}
plugins: [csv, desk, crashing, misnamed, unschemed]
tenant: acme
accounts:
  bookshop:
    keys: [KEY]
    routes:
      tickets: {sink: desk, options: {url: "URL", token: !env DESK_TOKEN}}
      export: {sink: csv, options: {directory: exports}}
"""


class Desk(Stub):
    def __init__(self) -> None:
        super().__init__()
        self.tickets: dict[str, str] = {}
        self.came = asyncio.Event()

    def answer(self, request: Request) -> Answer:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Answer(401)
        if request.method == "POST":
            self.tickets[request.json["id"]] = request.json["text"]
            self.came.set()
        return Answer(200)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the Python of an environment with the gateway, the plugin of plugins/README.md and broken plugins."""
    folder = tmp_path_factory.mktemp("outside")
    example.write_plugin(folder / "desk")
    write_broken(folder / "broken")
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder / "venv")
    found = folder / "venv" / "bin" / "python"
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # The packages of this interpreter, with the gateway and pip, replace an installation from the network.
    (site / "installed.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    pip = [str(found), "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, str(folder / "desk"), str(folder / "broken")], check=True, capture_output=True, timeout=170)
    return str(found)


def write_broken(folder: Path) -> None:
    """Write a package with plugins that can't be loaded, each for another reason."""
    folder.mkdir()
    for name, (code, _) in BROKEN.items():
        (folder / f"broken_{name}.py").write_text(code)
    points = "".join(f'{name} = "broken_{name}:Broken"\n' for name in BROKEN)
    modules = [f"broken_{name}" for name in BROKEN]
    project = '[project]\nname = "cloudsignal-broken"\nversion = "0.1"\n'
    build = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    entry = f'[project.entry-points."cloudsignal.sinks"]\n{points}'
    (folder / "pyproject.toml").write_text(f"{build}{project}{entry}[tool.setuptools]\npy-modules = {modules}\n")


def configure(folder: Path, url: str, more: str = "") -> None:
    (folder / "gateway.yaml").write_text(CONFIG.replace("KEY", KEY, 1).replace("URL", url) + more)


def test_the_plugins_are_listed_the_broken_ones_with_the_reason(python: str, tmp_path: Path) -> None:
    configure(tmp_path, "http://127.0.0.1:1")
    done = run_cli("plugins", "--json", "--config", "gateway.yaml", cwd=tmp_path, python=python)
    found = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, done.stderr
    assert found["desk"]["state"] == "enabled"
    assert found["desk"]["from"] == "cloudsignal-desk 1.0"
    assert found["desk"]["about"] == "a ticket at the help desk for errors and cancellations"
    for name, (_, words) in BROKEN.items():
        assert found[name]["state"] == "broken"
        assert found[name]["from"] == "cloudsignal-broken 0.1"
        assert words in found[name]["about"]


def test_only_routes_of_broken_plugins_are_errors(python: str, tmp_path: Path) -> None:
    routes = "".join(f"      {name}: {{sink: {name}}}\n" for name in BROKEN)
    configure(tmp_path, "http://127.0.0.1:1", routes)
    lines = (tmp_path / "gateway.yaml").read_text().splitlines()
    env = {"DESK_TOKEN": TOKEN}
    done = run_cli("check", "--config", "gateway.yaml", cwd=tmp_path, env=env, python=python)
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if "gateway.yaml:" in line]
    assert len(told) == len(BROKEN)
    for line, (name, (_, words)) in zip(told, BROKEN.items(), strict=True):
        number = next(n for n, text in enumerate(lines, 1) if f"sink: {name}" in text)
        assert f"gateway.yaml:{number}: accounts.bookshop.routes.{name}.sink: " in line
        assert f"the plugin {name} could not be loaded" in line
        assert words in line


@pytest.mark.gen_test
async def test_an_outside_plugin_delivers_beside_broken_ones(python: str, tmp_path: Path) -> None:
    desk = Desk()
    configure(tmp_path, desk.start())
    env = {"DESK_TOKEN": TOKEN}
    gateway = Gateway(tmp_path, env, python=python)
    await asyncio.to_thread(gateway.start)
    sent = payload("ItemError", cause="Paper jam")
    body = request(sent)
    answer = await asyncio.to_thread(fetch, f"{gateway.url}/signals/bookshop", body)
    assert answer.code == 200
    await asyncio.wait_for(desk.came.wait(), 60)
    assert list(desk.tickets.values()) == [f"ItemError of {sent['order_reference']}: Paper jam"]
    await asyncio.to_thread(gateway.wait_for_log, '"outcome":"delivered"', 2)
    assert await asyncio.to_thread(gateway.terminate) == 0
    checked = await asyncio.to_thread(
        run_cli, "check", "--connect", "--config", "gateway.yaml", cwd=tmp_path, env=env, python=python
    )
    await desk.stop()
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "the desk knows the token" in checked.stdout
    assert TOKEN not in gateway.log.read_text() + checked.stdout + checked.stderr
