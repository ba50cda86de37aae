"""Proxies of the environment: their choice, tunnels, credentials, and the guard of a restricted sink."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme

from gateway.errors import Misconfigured, RetryLater
from gateway.sink import Context, HttpSink
from gateway.sink.client import Proxies, parse_url
from gateway.sink.resolver import Address
from tests.support.forward_proxy import ForwardProxy
from tests.support.process import free_port
from tests.support.tls_target import target, trust

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Plain(HttpSink):
    name = "plain"
    summary = "posts"


class Careful(Plain):
    """A sink that may reach 127.0.0.0/8 only, in place of the internet."""

    def permits(self, address: Address) -> bool:
        return address.is_loopback


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """A certificate authority that the client trusts."""
    authority = trustme.CA()
    trust(authority, monkeypatch)
    return authority


@asynccontextmanager
async def a_sink(kind: type[Plain] = Plain, **settings: object) -> AsyncIterator[Plain]:
    sink = kind(settings, Context("shop", "acme", "erp"))
    try:
        yield sink
    finally:
        await sink.close()


# -- the choice


@pytest.mark.parametrize(
    ("settings", "url", "proxy"),
    [
        ({"http_proxy": "http://p:3128"}, "http://a.example/", "p:3128"),
        ({"http_proxy": "http://p:3128"}, "https://a.example/", None),
        ({"HTTPS_PROXY": "http://p:3128"}, "https://a.example/", "p:3128"),
        ({"HTTPS_PROXY": "p:3128"}, "https://a.example/", "p:3128"),
        ({"HTTPS_PROXY": "http://p:3128/"}, "https://a.example/", "p:3128"),
        ({"https_proxy": "http://q:1", "HTTPS_PROXY": "http://p:3128"}, "https://a.example/", "q:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://p:3128"}, "https://a.example/", None),
        ({"ALL_PROXY": "http://p:3128"}, "http://a.example/", "p:3128"),
        ({"HTTP_PROXY": "http://p:3128", "REQUEST_METHOD": "GET"}, "http://a.example/", None),
        ({"HTTP_PROXY": "http://[::1]:3128"}, "http://a.example/", "[::1]:3128"),
    ],
    ids=range(10),
)
def test_the_environment_names_the_proxy(
    settings: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    found = Proxies.from_environment().find(parse_url(url))
    assert (found and found.place) == proxy


@pytest.mark.parametrize(
    ("without", "url", "direct"),
    [
        ("a.example", "http://a.example/", True),
        ("A.Example", "http://a.example/", True),
        (".a.example", "http://b.a.example/", True),
        ("*.a.example", "http://b.a.example/", True),
        ("a.example", "http://b.a.example/", True),
        ("a.example", "http://ba.example/", False),
        ("a.example:80", "http://a.example/", True),
        ("a.example:8080", "http://a.example/", False),
        ("x, a.example ,y", "http://a.example/", True),
        ("*", "http://a.example/", True),
        ("10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://11.1.2.3/", False),
        ("10.1.2.3", "http://10.1.2.3:8069/", True),
        ("fd00::/8", "http://[fd00::1]/", True),
        ("[::1]:80", "http://[::1]/", True),
        ("10.0.0.0/8", "http://ten.example/", False),
        ("", "http://a.example/", False),
        (",", "http://a.example/", False),
        (".", "http://a.example/", False),
    ],
)
def test_no_proxy_names_the_hosts_that_are_called_directly(without: str, url: str, direct: bool) -> None:
    found = Proxies({"http": "http://p:3128", "no": without}).find(parse_url(url))
    assert (found is None) is direct


@pytest.mark.parametrize("value", ["socks5://p:1080", "socks5h://p", "ftp://p"])
def test_another_kind_of_proxy_is_refused_by_the_variables_name(value: str) -> None:
    with pytest.raises(Misconfigured, match="the proxy in HTTPS_PROXY is not an http or https URL"):
        Proxies({"https": value}).find(parse_url("https://a.example/"))


@pytest.mark.parametrize("value", ["http://", "http://u:secret@:1", "http://p:99999"])
def test_a_proxy_that_is_no_url_is_named_without_its_value(value: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        Proxies({"https": value}).find(parse_url("https://a.example/"))
    assert str(raised.value) == "the proxy in HTTPS_PROXY is not a valid URL"


# -- the way through it


@pytest.mark.gen_test
async def test_a_plain_request_goes_through_the_proxy_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    async with target() as (stub, port), ForwardProxy({"desk.example": port}) as proxy, a_sink() as sink:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        answer = await sink.request("POST", "http://desk.example/a?b=c", json={"x": 1})
        assert answer.status == 200
        assert proxy.lines == ["POST http://desk.example/a?b=c HTTP/1.1"]
        (request,) = stub.requests
        assert (request.path, request.json, request.headers["Host"]) == ("/a", {"x": 1}, "desk.example")


@pytest.mark.gen_test
async def test_a_tls_request_goes_through_a_tunnel(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy sees the name only; the certificate is checked against it."""
    async with (
        target(authority.issue_cert("desk.example")) as (stub, port),
        ForwardProxy({"desk.example": port}) as proxy,
        a_sink() as sink,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        for _ in range(2):
            assert (await sink.request("POST", "https://desk.example/a", json={"x": "y" * 200_000})).status == 200
        assert proxy.lines == ["CONNECT desk.example:443 HTTP/1.1"]
        assert len(stub.requests) == 2


@pytest.mark.gen_test
async def test_a_tunnel_to_another_server_is_noticed(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        target(authority.issue_cert("other.example")) as (stub, port),
        ForwardProxy({"desk.example": port}) as proxy,
        a_sink() as sink,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(RetryLater, match="the certificate is not valid: it is for another name"):
            await sink.request("POST", "https://desk.example/a")
        assert not stub.requests


@pytest.mark.parametrize("url", ["http://desk.example/", "https://desk.example/"])
@pytest.mark.gen_test
async def test_a_proxy_gets_its_credentials_and_the_target_does_not(
    url: str, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = authority.issue_cert("desk.example") if url.startswith("https") else None
    async with (
        target(certificate) as (stub, port),
        ForwardProxy({"desk.example": port}) as proxy,
        a_sink() as sink,
    ):
        monkeypatch.setenv("ALL_PROXY", proxy.url.replace("//", "//me:p%40ss@"))
        await sink.request("GET", url)
        assert "Proxy-Authorization: Basic bWU6cEBzcw==" in proxy.heads[0]
        if certificate is not None:
            assert "Proxy-Authorization" not in stub.requests[0].headers


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        ("HTTP/1.1 407 Credentials", Misconfigured),
        ("HTTP/1.1 403 No", Misconfigured),
        ("HTTP/1.1 503 Down", RetryLater),
    ],
)
@pytest.mark.gen_test
async def test_a_proxy_that_refuses_is_named(refusal: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ForwardProxy() as proxy, a_sink() as sink:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        proxy.refusal = refusal
        with pytest.raises(kind, match=f"the proxy answered {refusal.split()[1]} to CONNECT"):
            await sink.request("GET", "https://desk.example/secret-path")


@pytest.mark.gen_test
async def test_the_option_switches_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async with target() as (stub, _), ForwardProxy() as proxy, a_sink(proxy=False) as sink:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert (await sink.request("GET", stub.url)).status == 200
        assert not proxy.heads


# -- the guard


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.gen_test
async def test_a_restricted_sink_gives_the_proxy_the_address_that_it_checked(
    scheme: str, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy would resolve the name again, and could be led within."""
    certificate = authority.issue_cert("localhost") if scheme == "https" else None
    async with target(certificate) as (stub, port), ForwardProxy() as proxy, a_sink(Careful) as sink:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        await sink.request("POST", f"{scheme}://localhost:{port}/a")
        assert proxy.lines[0] in (f"CONNECT 127.0.0.1:{port} HTTP/1.1", f"CONNECT [::1]:{port} HTTP/1.1")
        assert stub.requests[0].headers["Host"] == f"localhost:{port}"


@pytest.mark.parametrize("host", ["10.0.0.1", "[::ffff:10.0.0.1]", "2130706433", "within.example"])
@pytest.mark.gen_test
async def test_a_restricted_sink_reaches_nothing_within_through_a_proxy(
    host: str, within: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ForwardProxy() as proxy, a_sink(Careful) as sink:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        for scheme in ("http", "https"):
            with pytest.raises(Misconfigured, match="not one that this route may connect to"):
                await sink.request("POST", f"{scheme}://{host}/a")
        assert not proxy.heads


@pytest.fixture
def within(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let within.example have an address of a private network."""
    real = socket.getaddrinfo

    def find(host: str, port: int, *args: object, **options: object) -> list[object]:
        return real("10.0.0.1" if host == "within.example" else host, port, *args, **options)  # type: ignore[arg-type, return-value]

    monkeypatch.setattr(socket, "getaddrinfo", find)


@pytest.mark.gen_test
async def test_a_name_that_only_the_proxy_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ForwardProxy() as proxy, a_sink(Careful) as sink:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        with pytest.raises(RetryLater, match="can't be resolved here, to check its address for the proxy"):
            await sink.request("POST", "https://nobody.invalid/a")
        assert not proxy.heads


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("http://127.0.0.1:{}", r"^the proxy: can't connect: Connection refused$"),
        ("http://nobody.invalid:{}", r"^the proxy's name can't be resolved$"),
    ],
)
@pytest.mark.gen_test
async def test_a_proxy_that_is_not_there_is_told(proxy: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy.format(free_port()))
    async with a_sink() as sink:
        with pytest.raises(RetryLater, match=words):
            await sink.request("POST", "https://desk.example/a")
