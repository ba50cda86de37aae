"""A pgbouncer in front of a server, in transaction mode."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.debian import find_debian
from tests.support.postgres import DEADLINE, USER, Server
from tests.support.process import free_port

CONFIG = """\
[databases]
* = host={server} user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
min_pool_size = 2
server_round_robin = 1
server_idle_timeout = 1
max_client_conn = 500
"""
"""Server sessions for the four connections of a gateway. With two, each transaction gets another session, so a test
finds anything that the gateway leaves in one."""


class Pooler:
    """It ends with this process."""

    def __init__(self, server: Server) -> None:
        program = find_debian("pgbouncer", "usr/sbin/pgbouncer")
        self.server = server
        self.port = free_port()
        self._numbers = itertools.count(1)
        folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
        config = folder / "pgbouncer.ini"
        config.write_text(CONFIG.format(server=server.folder, port=self.port))
        folder.chmod(0o755)
        self._process = subprocess.Popen(
            [program, config],
            user=USER if os.geteuid() == 0 else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        atexit.register(self._end, folder)
        deadline = time.monotonic() + DEADLINE
        while not self._answers():
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def make_place(self) -> str:
        """The URL of an empty database; pgbouncer would not pass a schema on."""
        name = f"pooled{next(self._numbers)}"
        self.server.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def _end(self, folder: Path) -> None:
        self._process.kill()
        self._process.wait(DEADLINE)
        shutil.rmtree(folder, ignore_errors=True)
