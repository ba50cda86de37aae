"""A gateway and its workers listen on several addresses: ports of both families, and Unix sockets."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from tests.support import recorder
from tests.support.payloads import KEY, example, request
from tests.support.process import ROOT, Gateway, free_port
from tests.support.scene import fetch, wait_until

CONFIG = """\
server: {{listen: [{listen}], grace: 2s}}
admin: {{listen: ["127.0.0.1:{admin}", "unix:admin.sock"]}}
store: {{url: "{url}"}}
accounts:
  bookshop: {{keys: [{key}]}}
"""


def ask(path: Path, text: bytes) -> bytes:
    """Return the answer to a request over a Unix socket."""
    with socket.socket(socket.AF_UNIX) as sender:
        sender.settimeout(60)
        sender.connect(str(path))
        sender.sendall(text)
        answer = b""
        while part := sender.recv(65536):
            answer += part
    return answer


def post_over(path: Path, payload: dict[str, str]) -> int:
    body = request(payload)
    head = f"POST /signals/bookshop HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return int(ask(path, head.encode() + body).split()[1])


def write_config(folder: Path, url: str, port: int) -> None:
    listen = f'"[::]:{port}", "unix:{folder}/public.sock"'
    (folder / "gateway.yaml").write_text(CONFIG.format(listen=listen, admin=free_port(), url=url, key=KEY))


def test_a_gateway_takes_signals_at_each_address(tmp_path: Path) -> None:
    port = free_port()
    write_config(tmp_path, "sqlite:///gateway.db", port)
    with Gateway(tmp_path) as gateway:
        for number, host in enumerate(("127.0.0.1", "[::1]")):
            assert fetch(f"http://{host}:{port}/signals/bookshop", request(example(n=number))).code == 200
        assert post_over(tmp_path / "public.sock", example(n=5)) == 200
        ready = ask(tmp_path / "admin.sock", b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert ready.startswith(b"HTTP/1.1 200")
        started = next(line for line in gateway.log.read_text().splitlines() if '"gateway.started"' in line)
        assert json.loads(started)["listen"][:2] == [f"[::]:{port}", f"unix:{tmp_path}/public.sock"]
        assert json.loads(started)["url"] == f"http://127.0.0.1:{port}"
        gateway.kill()
        gateway.start()  # the killed one has left its sockets behind
        assert post_over(tmp_path / "public.sock", example(n=6)) == 200
        assert gateway.terminate() == 0
    assert not (tmp_path / "public.sock").exists()
    assert not (tmp_path / "admin.sock").exists()


def test_workers_share_each_address(tmp_path: Path, postgres_url: str) -> None:
    port = free_port()
    write_config(tmp_path, postgres_url, port)
    recorder.install(tmp_path / "path")
    gateway = Gateway(tmp_path, {"PYTHONPATH": f"{ROOT}:{tmp_path / 'path'}"}, words=("--workers", "2"))
    with gateway:
        gateway.wait_for_log('"gateway.started"', 2)
        for number in range(10):
            payload = example(n=number)
            wait_until(lambda p=payload: post_over(tmp_path / "public.sock", p) == 200, 60, "an answer")
        assert fetch(f"http://[::1]:{port}/signals/bookshop", request(example(n=10))).code == 200
        for name in ("admin.sock", "admin.sock.1"):
            ready = ask(tmp_path / name, b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert ready.startswith(b"HTTP/1.1 200")
        assert gateway.terminate() == 0
    assert not list(tmp_path.glob("*.sock*"))
