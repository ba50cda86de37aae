"""HTTP/1.1 server of the public listener: asyncio transports carry bytes, llhttp parses them, resources answer.

Public names: `Server` accepts connections for a route table, `Request` and `Answer` are the values that a resource
takes and returns. No other module may import anything else from here; tests/unit/test_layers.py enforces it. The
server calls its route table and resources by the protocols in messages.py. Classes elsewhere match these by shape.

Why this exists
---------------
Tornado serves the admin listener, and would serve this one too if it were fast enough. Measured under the same gateway,
with all checks, logging and the commit of each signal, on one core, CPU time per signal:

    341 µs  this server;
    664 µs  Tornado's HTTPServer with a connection delegate;
    375 µs  a bare Tornado RequestHandler that only parses the JSON, without a gateway behind it.

Tornado's HTTP connection costs about as much CPU as everything else that is done for a signal. It parses headers in
Python, and runs several coroutines and futures per request. This server parses in C, and runs one coroutine per
connection. `python -m tests.bench.http` repeats the measurement; a faster machine gave 131, 211 and 134 µs. If the
ratio to Tornado's server ever falls to about 1, remove this package: `Server` is the only thing to replace.

Structure
---------
- messages.py: `Request`, `Answer` and its bytes on the wire, and the protocols `Resource` and `RouteTable`.
- reader.py: bytes -> `Exchange`. Parsing, limits on sizes, refusals that need no complete body.
- rules.py: rules of the RFCs that llhttp leaves to servers: version, target, Host, Transfer-Encoding, Expect.
- connection.py: `Exchange` -> answer. The order of answers, time limits, backpressure, the end of a connection.
- server.py: listening sockets -> connections. Accepting, TLS handshake, shutdown.

Limits on sizes and times are one value, `gateway.web.limits.Limits`.

Behaviour
---------
A connection answers one request after the other, in the order in which they came. A request that is refused by its
head, or for a body over the limit, is answered before its body is complete; the rest of the body is read and dropped.
Offers to upgrade to HTTP/2 are ignored, as RFC 9110 7.8 allows. tests/web/http_cases.py has more than 400 cases of
what is accepted and what is refused.
"""

from gateway.web.http1.messages import Answer, Request
from gateway.web.http1.server import Server

__all__ = ["Answer", "Request", "Server"]
