"""HTTP cases as data: bytes on a new connection, the codes of the answers, and the end of the connection.

Groups follow RFC 9112, with the rules of RFC 9110 that a server checks. A case without an end of its own stays open if
the last code says so, see `Case.stays`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

CUT = 0
"""Code of a connection that is closed without an answer."""
OPEN = (200, 401, 404)
"""Codes after which a connection stays open, unless the request asks for its end."""


class Case(NamedTuple):
    """A case. `codes` are the final answers in their order; interim answers are left out."""

    name: str
    sent: bytes
    codes: tuple[int, ...]
    stays: bool


def case(name: str, sent: bytes | str, *codes: int, stays: bool | None = None) -> Case:
    raw = sent.encode("latin-1") if isinstance(sent, str) else sent
    return Case(name, raw, codes, codes[-1] in OPEN if stays is None else stays)


def get(*headers: str, line: str = "GET /healthz HTTP/1.1", host: str = "Host: a") -> str:
    """Return a request without a body; it is answered 200 if nothing is wrong with it."""
    return "".join(f"{each}\r\n" for each in (line, *([host] if host else []), *headers)) + "\r\n"


def post(*headers: str, body: str = "{}", version: str = "1.1") -> str:
    """Return a request with a body; it is answered 401 if nothing is wrong with it, because the body has no key."""
    return get(*headers, line=f"POST /signals/bookshop HTTP/{version}") + body


def sized(*headers: str, body: str = "{}", version: str = "1.1") -> str:
    return post(f"Content-Length: {len(body)}", *headers, body=body, version=version)


def chunked(body: str, *headers: str) -> str:
    return post("Transfer-Encoding: chunked", *headers, body=body)


def request_lines() -> Iterator[Case]:
    """Yield cases of RFC 9112 2.2 and 3: the request line and what comes before it."""
    for name, line in {
        "plain": "GET /healthz HTTP/1.1",
        "a query": "GET /healthz?a=b&c=/d?e HTTP/1.1",
        "an absolute URL": "GET http://a/healthz HTTP/1.1",
        "an absolute URL with a port": "GET http://a:8080/healthz HTTP/1.1",
        "an absolute URL of another host": "GET http://other/healthz HTTP/1.1",
        "an absolute URL in upper case": "GET HTTP://A/healthz HTTP/1.1",
        "HEAD": "HEAD /healthz HTTP/1.1",
        # RFC 9112 3 lets a server split the line at any white space.
        "two spaces before the target": "GET  /healthz HTTP/1.1",
        "two spaces before the version": "GET /healthz  HTTP/1.1",
    }.items():
        yield case(name, get(line=line), 200)
    yield case("an empty line before", "\r\n" + get(), 200)
    yield case("two empty lines before", "\r\n\r\n" + get(), 200)
    yield case("an encoded path", get(line="GET /%68ealthz HTTP/1.1"), 404)
    yield case("a path with dots", get(line="GET /a/../healthz HTTP/1.1"), 404)
    yield case("all servers", get(line="OPTIONS * HTTP/1.1"), 404)
    yield case("CONNECT", get(line="CONNECT a:80 HTTP/1.1"), 405)
    for name, line in {
        "no version": "GET /healthz",
        "version 0.9": "GET /healthz HTTP/0.9",
        "no target": "GET HTTP/1.1",
        "an empty target": "GET  HTTP/1.1",
        "a method alone": "GET",
        "a tab before the target": "GET\t/healthz HTTP/1.1",
        "a tab before the version": "GET /healthz\tHTTP/1.1",
        "a space before the method": " GET /healthz HTTP/1.1",
        "a space behind the version": "GET /healthz HTTP/1.1 ",
        "a word behind the version": "GET /healthz HTTP/1.1 x",
        "a version in lower case": "GET /healthz http/1.1",
        "another protocol": "GET /healthz HTTPS/1.1",
        "a version without a minor": "GET /healthz HTTP/1",
        "a version with an empty minor": "GET /healthz HTTP/1.",
        "a version with an empty major": "GET /healthz HTTP/.1",
        "a version without a dot": "GET /healthz HTTP/11",
        "a version with a comma": "GET /healthz HTTP/1,1",
        "a version with three parts": "GET /healthz HTTP/1.1.1",
        "a version with a leading zero": "GET /healthz HTTP/01.1",
        "a version with a space": "GET /healthz HTTP/1. 1",
        "a version with spaces around its slash": "GET /healthz HTTP / 1.1",
        "a version with letters": "GET /healthz HTTP/a.b",
        "a space in the target": "GET /heal thz HTTP/1.1",
        "a NUL in the target": "GET /heal\0thz HTTP/1.1",
        "a CR in the target": "GET /heal\rthz HTTP/1.1",
        "a LF in the target": "GET /heal\nthz HTTP/1.1",
        "a form feed in the target": "GET /heal\fthz HTTP/1.1",
        "a DEL in the target": "GET /heal\x7fthz HTTP/1.1",
        "a byte over 127 in the target": "GET /heal\xe9thz HTTP/1.1",
        "a fragment in the target": "GET /healthz#part HTTP/1.1",
        "a target without a slash": "GET healthz HTTP/1.1",
        "a target with a backslash": "GET \\healthz HTTP/1.1",
        "an absolute URL without a host": "GET http:///healthz HTTP/1.1",
        "an absolute URL with a user": "GET http://me@a/healthz HTTP/1.1",
        "an absolute URL with a bad host": "GET http://a{b/healthz HTTP/1.1",
        "a method in lower case": "get /healthz HTTP/1.1",
        "a method with a bad character": "G@T /healthz HTTP/1.1",
        "a method with a NUL": "G\0T /healthz HTTP/1.1",
        "a method with a digit first": "1GET /healthz HTTP/1.1",
        "an empty method": " /healthz HTTP/1.1",
    }.items():
        yield case(name, get(line=line), 400)
    for version in ("1.2", "2.0", "2.1", "3.0", "9.9", "0.0"):
        yield case(f"version {version}", get(line=f"GET /healthz HTTP/{version}"), 505)
    yield case("a method that is not registered", get(line="BREW /healthz HTTP/1.1"), 405)
    yield case("a line that ends with LF alone", get().replace("\r\n", "\n", 1), 400)
    yield case("a line that ends with CR alone", get().replace("\r\n", "\r", 1), 400)
    yield case("a line that ends with CR CR LF", get().replace("\r\n", "\r\r\n", 1), 400)
    yield case("a space before the line end of an empty line", " \r\n" + get(), 400)
    for name, raw in {
        "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)),
        "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "an SSH banner": b"SSH-2.0-client\r\n",
        "a mail greeting": b"EHLO relay\r\n\r\n",
        "a Redis command": b"*1\r\n$4\r\nPING\r\n",
        "a PROXY line": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get().encode(),
        "a PROXY line of version 2": b"\r\n\r\n\0\r\nQUIT\n" + bytes(20),
        "zeros": bytes(64),
        "an answer": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "a JSON object": b'{"apikey": "x"}\r\n\r\n',
    }.items():
        yield case(name, raw, 400)
    yield case("a target over the limit", get(line=f"GET /{'x' * 10_000} HTTP/1.1"), 414)


def headers() -> Iterator[Case]:
    """Yield cases of RFC 9112 5 and RFC 9110 5: the lines of headers."""
    for name, line in {
        "no space behind the colon": "X:y",
        "many spaces around the value": "X:    y   ",
        "tabs around the value": "X:\ty\t",
        "an empty value": "X:",
        "a value of spaces": "X:   ",
        "a value with a tab": "X: a\tb",
        "a value with colons": "X: a:b:c",
        "a value over 127": "X: \xe9\xff",
        "every character of a name": "!#$%&'*+-.^_`|~09azAZ: y",
        "a name of one letter": "a: y",
        "a name in upper case": "CONTENT-TYPE: x",
        "an ordinary header twice": "X: y\r\nX: z",
        "200 headers": "\r\n".join(f"X-{n}: y" for n in range(200)),
        "a value of 8 KiB": f"X: {'y' * 8192}",
    }.items():
        yield case(name, get(line), 200)
    for name, line in {
        "no colon": "X y",
        "a name alone": "X",
        "an empty name": ": y",
        "a space before the colon": "X : y",
        "a tab before the colon": "X\t: y",
        "a space in the name": "X Y: z",
        "a folded value": "X: y\r\n z",
        "a value folded by a tab": "X: y\r\n\tz",
        "a folded empty value": "X:\r\n z",
        "a NUL in the value": "X: a\0b",
        "a CR in the value": "X: a\rb",
        "a CR at the end of the value": "X: a\r",
        "a LF alone behind the value": "X: a\nY: b",
        "a vertical tab in the value": "X: a\x0bb",
        "an escape in the value": "X: a\x1bb",
        "a DEL in the value": "X: a\x7fb",
        "a name with quotes": '"X": y',
    }.items():
        yield case(name, get(line), 400)
    for character in "()<>@,;\\/[]?={}\0\x01\x7f\xe9":
        yield case(f"a name with {character!r}", get(f"X{character}Y: z"), 400)
    yield case("a space before the first header", get(host=" Host: a"), 400)
    yield case("a tab before the first header", get(host="\tHost: a"), 400)
    yield case("a folded line as the first header", get(host=" x\r\nHost: a"), 400)
    yield case("a head that ends with CR LF LF", get()[:-2] + "\n", 400)
    yield case("a head that ends with LF CR LF", get()[:-4] + "\n\r\n", 400)
    yield case("a head that ends with LF LF", get().replace("\r\n", "\n"), 400)
    yield case("a head that ends with CR CR", get().replace("\r\n", "\r"), 400)
    yield case("a head that ends with LF LF, with a body", sized().replace("\r\n", "\n"), 400)
    yield case("a head over the limit", get(*(f"X-{n}: {'y' * 100}" for n in range(400))), 431)
    yield case("a header over the limit", get(f"X: {'y' * 40_000}"), 431)


def hosts() -> Iterator[Case]:
    """Yield cases of RFC 9112 3.2 and RFC 9110 7.2: the header Host."""
    for value in (
        "a",
        "a:80",
        "a:",
        "a:0",
        "a:65535",
        "gateway.example.com",
        "gateway.example.com.",
        "under_score.example",
        "xn--bcher-kva.example",
        "a%20b",
        "127.0.0.1",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:8080",
        "[2001:db8::1]:",
        "[::ffff:192.0.2.1]",
        "A.B",
        "a-b~c!$&'()*+;=d",
        "  a  ",
        "\ta\t",
    ):
        yield case(f"Host {value!r}", get(host=f"Host: {value}"), 200)
    for value in (
        "",
        "   ",
        ":80",
        "a b",
        "a/b",
        "/",
        "a?b",
        "a#b",
        "me@a",
        "me:password@a",
        "http://a",
        "http://a/",
        "a,b",
        "a, a",
        "a:b",
        "a:80x",
        "a:-1",
        "a:65536",
        "a:80:80",
        "::1",
        "[::1",
        "::1]",
        "[]",
        "[a]",
        "[::1]x",
        "[::1%eth0]",
        "[1:2]",
        "[v1.x]",
        "a%2",
        "a%zz",
        '"a"',
        "a\\b",
        "<a>",
        "a{b}",
        "a|b",
        "a^b",
        "a`b",
        "b\xfccher.example",
    ):
        yield case(f"Host {value!r}", get(host=f"Host: {value}"), 400)
    yield case("no Host", get(host=""), 400)
    yield case("no Host, with a body", sized().replace("Host: a\r\n", ""), 400)
    yield case("Host twice", get("Host: a"), 400)
    yield case("Host twice, different", get("Host: b"), 400)
    yield case("Host twice, the second empty", get("Host:"), 400)
    yield case("Host twice, the first empty", get("Host: a", host="Host:"), 400)
    yield case("Host twice, in other letters", get("HOST: a"), 400)
    yield case("Host behind other headers", get("X: y", "Host: a", host=""), 200)
    yield case("Host in lower case", get(host="host: a"), 200)
    yield case("Host folded", get(host="Host: a\r\n b"), 400)
    yield case("Host with a space before its colon", get(host="Host : a"), 400)
    yield case("no Host beside an absolute URL", get(line="GET http://a/healthz HTTP/1.1", host=""), 400)
    yield case("HTTP/1.0 without Host", get(line="GET /healthz HTTP/1.0", host=""), 200, stays=False)
    yield case("HTTP/1.0 with Host", get(line="GET /healthz HTTP/1.0"), 200, stays=False)
    yield case("HTTP/1.0 with Host twice", get("Host: a", line="GET /healthz HTTP/1.0"), 400)
    yield case("HTTP/1.0 with a bad Host", get(line="GET /healthz HTTP/1.0", host="Host: a/b@c"), 400)


def lengths() -> Iterator[Case]:
    """Yield cases of RFC 9112 6.2 and 6.3: Content-Length."""
    yield case("a length", sized(), 401)
    yield case("a length of zero", post("Content-Length: 0", body=""), 401)
    yield case("no length and no body", post(body=""), 401)
    yield case("a length with leading zeros", post("Content-Length: 0002"), 401)
    yield case("a length with spaces around", post("Content-Length:   2  "), 401)
    yield case("a length with a tab before", post("Content-Length:\t2"), 401)
    yield case("a length in lower case", post("content-length: 2"), 401)
    yield case("a body without a length", post(), 401, 400)
    yield case("a body longer than its length", post("Content-Length: 2", body="{}{}"), 401, 400)
    yield case("a length of 65,536", sized(body="x" * 65536), 401)
    yield case("a length over the limit", post("Content-Length: 65537", body=""), 413)
    yield case("a length of 2^63 - 1", post("Content-Length: 9223372036854775807", body=""), 413)
    yield case("a GET with a length of zero", get("Content-Length: 0"), 200)
    yield case("a GET of health with a body", get("Content-Length: 2") + "{}", 413)
    yield case("a length behind another header", post("X: y", "Content-Length: 2"), 401)
    for value in (
        "",
        "-1",
        "-0",
        "+2",
        "0x2",
        "2.0",
        "1e0",
        "2 2",
        "2,",
        ",2",
        "2,2",
        "2, 2",
        "2;",
        "2a",
        "a2",
        "two",
        '"2"',
        "1_0",
        "\xb2",
        "0b10",
        "2\0",
        "99999999999999999999",
        "18446744073709551616",
        "9" * 100,
    ):
        yield case(f"length {value[:24]!r}", post(f"Content-Length: {value}"), 400)
    yield case("a length twice", post("Content-Length: 2", "Content-Length: 2"), 400)
    yield case("two lengths", post("Content-Length: 2", "Content-Length: 3"), 400)
    yield case("a length twice, the first empty", post("Content-Length:", "Content-Length: 2"), 400)
    yield case("a length with a space before its colon", post("Content-Length : 2"), 400)
    yield case("a folded length", post("Content-Length: 1\r\n 2"), 400)
    yield case("a length in an underscored name", post("Content_Length: 2"), 401, 400)


def transfer_codings() -> Iterator[Case]:
    """Yield cases of RFC 9112 6.1: Transfer-Encoding."""
    body = "2\r\n{}\r\n0\r\n\r\n"
    for value in ("chunked", "Chunked", "CHUNKED", "  chunked", "chunked  ", "\tchunked"):
        yield case(f"coding {value!r}", post(f"Transfer-Encoding: {value}", body=body), 401)
    for value in ("gzip, chunked", "gzip,chunked", "deflate, chunked", "compress, chunked", "x-custom, chunked"):
        yield case(f"coding {value!r}", post(f"Transfer-Encoding: {value}", body=body), 501)
    for value in (
        "gzip",
        "identity",
        "chunked, gzip",
        "chunked, identity",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        ", chunked",
        "chunked, , chunked",
        "xchunked",
        "chunkedx",
        "chunk",
        "chunked;q=1",
        "chunked x",
        '"chunked"',
        "\x0bchunked",
        "chu\0nked",
        "chunked\x0b",
    ):
        yield case(f"coding {value!r}", post(f"Transfer-Encoding: {value}", body=body), 400)
    chunked_header = "Transfer-Encoding: chunked"
    yield case("an empty coding", post("Transfer-Encoding:", body=""), 400)
    yield case("chunked twice", post(chunked_header, chunked_header, body=body), 400)
    yield case("gzip and chunked in two lines", post("Transfer-Encoding: gzip", chunked_header, body=body), 501)
    yield case("chunked and gzip in two lines", post(chunked_header, "Transfer-Encoding: gzip", body=body), 400)
    yield case("chunked, then a length", post(chunked_header, "Content-Length: 2", body=body), 400)
    yield case("a length, then chunked", post("Content-Length: 2", chunked_header, body=body), 400)
    yield case("a length of zero, then chunked", post("Content-Length: 0", chunked_header, body=body), 400)
    yield case("an unknown coding and a length", post("Transfer-Encoding: x", "Content-Length: 2"), 400)
    yield case("chunked in HTTP/1.0", post(chunked_header, body=body, version="1.0"), 400)
    yield case("a space before the colon of the coding", post("Transfer-Encoding : chunked", body=body), 400)
    yield case("a folded coding", post("Transfer-Encoding:\r\n chunked", body=body), 400)
    yield case("a coding in an underscored name", post("Transfer_Encoding: chunked", body=body), 401, 400)
    yield case("a coding in a name with a NUL", post("Transfer-Encoding\0: chunked", body=body), 400)
    yield case("a GET with an empty chunked body", get(chunked_header) + "0\r\n\r\n", 200)
    yield case("a GET of health with a chunked body", get(chunked_header) + body, 413)


def chunk_lines() -> Iterator[Case]:
    """Yield cases of RFC 9112 7.1: chunks, their extensions and the trailer."""
    end = "0\r\n\r\n"
    for name, body in {
        "one chunk": "2\r\n{}\r\n" + end,
        "two chunks": "1\r\n{\r\n1\r\n}\r\n" + end,
        "no chunk": end,
        "a size in upper case": "A\r\n{        }\r\n" + end,
        "a size in lower case": "a\r\n{        }\r\n" + end,
        "a size with leading zeros": "0002\r\n{}\r\n000\r\n\r\n",
        "an extension": "2;a\r\n{}\r\n" + end,
        "an extension with a value": "2;a=b\r\n{}\r\n" + end,
        "an extension with a quoted value": '2;a="b c"\r\n{}\r\n' + end,
        "two extensions": "2;a=b;c=d\r\n{}\r\n" + end,
        "an extension of the last chunk": "2\r\n{}\r\n0;a=b\r\n\r\n",
        "a trailer": "2\r\n{}\r\n0\r\nX: y\r\n\r\n",
        "two trailers": "2\r\n{}\r\n0\r\nX: y\r\nZ: w\r\n\r\n",
        "a trailer that names a host": "2\r\n{}\r\n0\r\nHost: b\r\n\r\n",
    }.items():
        yield case(name, chunked(body), 401)
    for name, body in {
        "no size": "\r\n{}\r\n" + end,
        "a negative size": "-2\r\n{}\r\n" + end,
        "a size with a plus": "+2\r\n{}\r\n" + end,
        "a size with 0x": "0x2\r\n{}\r\n" + end,
        "a size with an underscore": "0_2\r\n{}\r\n" + end,
        "a size that is no hex": "g\r\n{}\r\n" + end,
        "a space before the size": " 2\r\n{}\r\n" + end,
        "a tab before the size": "\t2\r\n{}\r\n" + end,
        "a size over 64 bits": "1" + "0" * 16 + "\r\n{}\r\n" + end,
        "a size of 40 digits": "f" * 40 + "\r\n{}\r\n" + end,
        "a comma behind the size": "2,\r\n{}\r\n" + end,
        "a LF alone behind the size": "2\n{}\r\n" + end,
        "a CR alone behind the size": "2\r{}\r\n" + end,
        "a LF alone behind the chunk": "2\r\n{}\n" + end,
        "a CR alone behind the chunk": "2\r\n{}\r" + end,
        "nothing behind the chunk": "2\r\n{}" + end,
        "a chunk longer than its size": "1\r\n{}\r\n" + end,
        "two line ends behind the chunk": "2\r\n{}\r\n\r\n" + end,
        "a LF in an extension": "2;a\nb\r\n{}\r\n" + end,
        "a CR in an extension": "2;a\rb\r\n{}\r\n" + end,
        "a NUL in an extension": "2;a\0b\r\n{}\r\n" + end,
        "a LF alone behind the last chunk": "2\r\n{}\r\n0\n\r\n",
        "a LF alone at the end": "2\r\n{}\r\n0\r\n\n",
        "a trailer that names a length": "2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n",
        "a trailer without a colon": "2\r\n{}\r\n0\r\nX\r\n\r\n",
        "a trailer with an empty name": "2\r\n{}\r\n0\r\n: y\r\n\r\n",
        "a trailer with a space before its colon": "2\r\n{}\r\n0\r\nX : y\r\n\r\n",
        "a folded trailer": "2\r\n{}\r\n0\r\nX: y\r\n z\r\n\r\n",
    }.items():
        yield case(name, chunked(body), 400)
    yield case("chunks over the limit", chunked("10000\r\n" + "x" * 65536 + "\r\n1\r\nx\r\n" + end), 413)
    yield case("a size over the limit of bodies", chunked("7fffffff\r\n" + "x" * 70_000), 413)
    yield case("an extension over the limit", chunked("2;" + "x" * 1_000_000), CUT)


def methods() -> Iterator[Case]:
    """Yield cases of RFC 9110 9: methods on each resource."""
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
        yield case(f"{method} of signals", get(line=f"{method} /signals/bookshop HTTP/1.1"), 405)
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        yield case(f"{method} of health", get(line=f"{method} /healthz HTTP/1.1"), 405)
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        yield case(f"{method} of an unknown path", get(line=f"{method} /nothing HTTP/1.1"), 404)
    yield case("a refused method with a body", sized().replace("POST", "PUT", 1), 405)
    yield case("CONNECT with a path", get(line="CONNECT /healthz HTTP/1.1"), 405)


def expectations() -> Iterator[Case]:
    """Yield cases of RFC 9110 10.1.1: Expect."""
    for value in ("100-continue", "100-Continue", "100-CONTINUE", "x, 100-continue", "unknown", "", "200-ok"):
        yield case(f"Expect {value!r}", sized(f"Expect: {value}"), 401)
    yield case("Expect without a body", get("Expect: 100-continue"), 200)
    yield case("Expect with too large a body", post("Expect: 100-continue", "Content-Length: 65537", body=""), 413)
    yield case("Expect in HTTP/1.0", sized("Expect: 100-continue", version="1.0"), 401, stays=False)
    yield case("an unknown expectation in HTTP/1.0", sized("Expect: x", version="1.0"), 401, stays=False)


def upgrades() -> Iterator[Case]:
    """Yield cases of RFC 9110 7.8: offers to upgrade, which are ignored."""
    offer = ("Connection: Upgrade", "Upgrade: h2c")
    old = "GET /healthz HTTP/1.0"
    yield case("h2c", get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ"), 200)
    yield case("a web socket", get("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"), 200)
    yield case("TLS", get("Connection: Upgrade", "Upgrade: TLS/1.0"), 200)
    yield case("an empty offer", get("Connection: Upgrade", "Upgrade:"), 200)
    yield case("an offer with a body", sized(*offer), 401)
    yield case("an offer with chunks", post(*offer, "Transfer-Encoding: chunked", body="2\r\n{}\r\n0\r\n\r\n"), 401)
    yield case("an offer without Connection", get("Upgrade: h2c"), 200)
    yield case("Connection without an offer", get("Connection: Upgrade"), 200)
    yield case("an offer and keep-alive", get("Connection: keep-alive, Upgrade", "Upgrade: h2c"), 200)
    yield case("an offer and close", get("Connection: close, Upgrade", "Upgrade: h2c"), 200, stays=False)
    yield case("an offer and close in two lines", get(*offer, "Connection: close"), 200, stays=False)
    yield case("an offer and close, with a body", sized(*offer, "Connection: close"), 401, stays=False)
    yield case("an offer in HTTP/1.0", get(*offer, line=old), 200, stays=False)
    yield case("an offer and keep-alive in HTTP/1.0", get(*offer, "Connection: keep-alive", line=old), 200, stays=True)
    yield case("two offers", get(*offer) + get(*offer), 200, 200)
    yield case("an offer, then none", get(*offer) + get(), 200, 200)
    yield case("an offer with a bad Host", get(*offer, host="Host: a/b"), 400)
    yield case("an offer with a refused method", get(*offer, line="DELETE /healthz HTTP/1.1"), 405)


def connections() -> Iterator[Case]:
    """Yield cases of RFC 9112 9: the end of connections, and several requests on one."""
    old = "GET /healthz HTTP/1.0"
    for value in ("keep-alive", "Keep-Alive", "", "x", "closed", "TE, X", "keep-alive, x"):
        yield case(f"Connection {value!r}", get(f"Connection: {value}"), 200, stays=True)
    for value in ("close", "Close", "CLOSE", "close, x", "x, close", "keep-alive, close", "x,close", "close ,x"):
        yield case(f"Connection {value!r}", get(f"Connection: {value}"), 200, stays=False)
    yield case("close in the second line", get("Connection: x", "Connection: close"), 200, stays=False)
    yield case("close with a body", sized("Connection: close"), 401, stays=False)
    yield case("close of an unknown path", get("Connection: close", line="GET /x HTTP/1.1"), 404, stays=False)
    yield case("HTTP/1.0", get(line=old), 200, stays=False)
    yield case("HTTP/1.0 with keep-alive", get("Connection: keep-alive", line=old), 200, stays=True)
    yield case("HTTP/1.0 with close", get("Connection: close", line=old), 200, stays=False)
    yield case("HTTP/1.0 with both", get("Connection: keep-alive, close", line=old), 200, stays=False)
    yield case("HTTP/1.0 with a body", sized(version="1.0"), 401, stays=False)
    yield case("three requests at once", get() * 3, 200, 200, 200)
    yield case("an empty line between requests", get() + "\r\n" + get(), 200, 200)
    yield case("bodies one behind the other", sized() + sized() + get(), 401, 401, 200)
    yield case("a request behind close", get("Connection: close") + get(), 200, stays=False)
    yield case("junk behind close", get("Connection: close") + "junk", 200, stays=False)
    yield case("junk behind a request", get() + "junk\r\n\r\n", 200, 400)
    yield case("a request behind a bad one", get(host="") + get(), 400)
    yield case("a request in a body", sized(body=get()), 401)
    yield case("HTTP/1.1 behind HTTP/1.0 with keep-alive", get("Connection: keep-alive", line=old) + get(), 200, 200)


GROUPS = (
    request_lines,
    headers,
    hosts,
    lengths,
    transfer_codings,
    chunk_lines,
    methods,
    expectations,
    upgrades,
    connections,
)
CASES = {f"{group.__name__}: {each.name}": each for group in GROUPS for each in group()}
