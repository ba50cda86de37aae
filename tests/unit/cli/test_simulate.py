"""The command simulate: its options, its exit code, and the reasons that it tells."""

from __future__ import annotations

import socket

import pytest

from gateway.cli.simulate import is_loopback
from tests.support.folder import Folder
from tests.support.scene import serving
from tests.support.stub import Answer, Stub

ONE = ("--key", "wrong", "--orders", "1", "--attempts", "2")


def test_an_argument_that_is_not_a_url_is_wrong_usage(folder: Folder) -> None:
    output = folder.run("simulate", "gateway.example/signals/bookshop", "--key", "k", code=2).output
    assert "expected an endpoint's URL" in output
    assert "sending" not in output


@pytest.mark.parametrize(
    ("code", "hint"),
    [(401, "no such account, or not its key"), (404, "no such path"), (503, "it can't take"), (302, "expected 200")],
)
def test_a_refusal_is_told_once(folder: Folder, code: int, hint: str) -> None:
    stub = Stub()
    stub.answer = lambda request: Answer(code)  # type: ignore[method-assign]
    with serving(stub):
        result = folder.run("simulate", f"{stub.url}/signals/bookshop", *ONE, code=1)
    assert result.output.count(f"answers {code}: {hint}") == 1
    assert "0 accepted" in result.output
    assert "wrong" not in result.output


def test_a_refused_connection_is_told_once(folder: Folder) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/signals/bookshop"
        result = folder.run("simulate", url, *ONE, code=1)
    assert result.stderr.count(f"{url} does not answer: can't connect: Connect call failed") == 1 or (
        result.stderr.count(f"{url} does not answer: can't connect: Connection refused") == 1
    )
    assert "no answer:" in result.stdout


def test_a_name_that_nobody_knows_is_told(folder: Folder) -> None:
    result = folder.run("simulate", "http://gateway.invalid/signals/bookshop", *ONE, "--yes", code=1)
    assert result.stderr.count("does not answer: ") == 1


def test_another_machine_is_asked_for(folder: Folder) -> None:
    url = "https://user:secret@gateway.example:8443/signals/bookshop"
    result = folder.run("simulate", url, *ONE, code=1)
    assert result.stderr.splitlines() == [
        "note: the routes of these accounts act for real, and that can't be taken back",
        "gateway.example:8443: not on this machine; confirm with --yes",
    ]


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1:8080", True),
        ("[::1]:8080", True),
        ("localhost", True),
        ("shop.localhost:1", True),
        ("gateway.example", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("[::]", False),
    ],
)
def test_only_loopback_is_this_machine(host: str, here: bool) -> None:
    assert is_loopback(f"http://{host}/signals/bookshop") is here
