"""The HTTP client of the sinks. It bounds everything that a target may send, as clients of a reseller choose targets.

A general library parses and keeps each byte that arrives. This client reads from a connection only on request.
So endless interim answers, headers, trailers or bodies end at a limit, and delay no other account. One obvious path:
Client -> dial (names, proxy, TLS) -> Connection -> head -> body.
"""

from gateway.sink.client.body import Reading
from gateway.sink.client.client import Client
from gateway.sink.client.dial import Dialer
from gateway.sink.client.head import Head
from gateway.sink.client.proxies import Proxies
from gateway.sink.client.url import Target, parse_url

__all__ = ["Client", "Dialer", "Head", "Proxies", "Reading", "Target", "parse_url"]
