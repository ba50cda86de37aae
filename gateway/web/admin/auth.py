"""Authenticates callers of the admin listener: by a token, or by the header of a single sign-on proxy."""

from __future__ import annotations

import hmac
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tornado.httputil import HTTPServerRequest

from gateway.address_blocks import block_of
from gateway.config import Access, Admin, Config, ProxyAuth
from gateway.errors import TooManyRequests, Unauthorized
from gateway.keys import hash_key
from gateway.token_bucket import TokenBuckets
from gateway.web.addresses import UNIX, Addresses, parse_hop

MAX_ADDRESSES = 10_000
"""Addresses with wrong tokens that are counted. More would let strangers use up memory."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A person or a program that asks: its rights and its address."""

    access: Access
    address: str


class Authenticator:
    """Finds the caller of a request. Only wrong tokens are limited: nobody can lock out a right one."""

    def __init__(self, config: Callable[[], Config], now: Callable[[], float]) -> None:
        self._config = config
        self._now = now
        self._wrong_tokens = TokenBuckets(MAX_ADDRESSES)

    def authenticate(self, request: HTTPServerRequest) -> Caller:
        """Return the caller. Raises Unauthorized; TooManyRequests after too many wrong tokens from its address."""
        caller = self.find(request)
        if isinstance(caller, Caller):
            return caller
        address, limit = caller, self._config().server.bad_keys_per_minute
        if wait := self._wrong_tokens.take(block_of(address), limit / 60, limit, self._now()):
            raise TooManyRequests("Too many wrong tokens.", retry_after=wait)
        raise Unauthorized("Wrong or missing token.")

    def find(self, request: HTTPServerRequest) -> Caller | str:
        """Return the caller, or the address of a request without a right token."""
        config = self._config()
        server, admin = config.server, config.admin or Admin(())
        peer = peer_of(request)
        forwarded = ",".join(request.headers.get_list(server.forwarded_header))
        address = Addresses(server.trusted_proxies, server.forwarded_header).client(peer, forwarded)
        access = find_token(admin, request.headers.get_list("Authorization"))
        if access is None and admin.proxy_auth:
            access = find_user(admin.proxy_auth, peer, request)
        return Caller(access, address) if access else address


def find_token(admin: Admin, given: list[str]) -> Access | None:
    """Return the rights of the token in an Authorization header. Every token is compared, in constant time."""
    scheme, _, text = (given[0] if len(given) == 1 else "").partition(" ")
    digest = hash_key(text.strip())
    found = None
    for token in admin.tokens:
        same = hmac.compare_digest(digest, token.digest)
        found = token.access if same else found
    return found if scheme.lower() == "bearer" and text.strip() else None


def find_user(proxy_auth: ProxyAuth, peer: str, request: HTTPServerRequest) -> Access | None:
    """Return the rights of the user that the proxy names. From other addresses the header may be forged."""
    users = request.headers.get_list(proxy_auth.header)
    # Two headers: a proxy that adds its own passes on a forged one.
    if len(users) != 1 or not users[0].strip() or not Addresses(proxy_auth.trusted).trusts(peer):
        return None
    return proxy_auth.find(users[0].strip())


def peer_of(request: HTTPServerRequest) -> str:
    """Return the address of the socket's other end."""
    context: Any = getattr(request.connection, "context", None)
    if context is None or context.address_family not in (socket.AF_INET, socket.AF_INET6):
        return UNIX
    address = parse_hop(context.address[0])
    return str(address) if address else ""
