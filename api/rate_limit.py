"""Limits on requests per caller: a token or session may ask so often, and an address without either less often.

Token buckets in the memory of this process: a database write for each request would cost more than it protects, so with
several processes a caller gets the limit of each. Credentials count as known once a route has accepted them; until then
requests count for the address, so that made-up tokens gain nothing. Memory is bounded.
"""

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import SESSION_COOKIE
from api.problem import Problem
from api.services import RateLimits

#: Probes and scrapers are not counted: they must get an answer when everything else is refused.
EXEMPT: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_MAX_CALLERS: Final = 20_000


@dataclass(slots=True)
class _Bucket:
    """What a caller may still ask for, as of `at` (monotonic seconds)."""

    left: float
    at: float


class Buckets:
    """Token buckets by key, at most 20,000: those unused for longest go first, which only forgives them."""

    def __init__(
        self, per_minute: int, burst: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = per_minute / 60.0
        self._burst = burst
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._buckets

    def take(self, key: str) -> float:
        """Take one request and return 0, or return the seconds until there is one again."""
        now = self._monotonic()
        bucket = self._buckets.setdefault(key, _Bucket(self._burst, now))
        self._buckets.move_to_end(key)
        while len(self._buckets) > _MAX_CALLERS:
            self._buckets.popitem(last=False)
        bucket.left = min(self._burst, bucket.left + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.left < 1.0:
            return (1.0 - bucket.left) / self._rate
        bucket.left -= 1.0
        return 0.0


class RateLimit:
    """ASGI middleware; `answer_problem` turns a problem into a response."""

    def __init__(
        self, app: ASGIApp, limits: RateLimits, answer_problem: Callable[[Scope, Problem], Response]
    ) -> None:
        self._app = app
        self._answer_problem = answer_problem
        self._callers = (
            Buckets(limits.per_caller, limits.burst(limits.per_caller)) if limits.per_caller else None
        )
        self._addresses = (
            Buckets(limits.per_address, limits.burst(limits.per_address)) if limits.per_address else None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in EXEMPT:
            await self._app(scope, receive, send)
            return
        caller = _caller_of(scope)
        wait = self._wait(scope, caller)
        if wait > 0:
            problem = Problem("too_many_requests", headers={"Retry-After": str(math.ceil(wait))})
            await self._answer_problem(scope, problem)(scope, receive, send)
            return
        if caller is None or self._callers is None or caller in self._callers:
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _learning(scope, caller, self._callers, send))

    def _wait(self, scope: Scope, caller: str | None) -> float:
        """Return the seconds that this request must wait."""
        if caller is not None and (self._callers is None or caller in self._callers):
            return self._callers.take(caller) if self._callers is not None else 0.0
        if self._addresses is None:
            return 0.0
        return self._addresses.take(scope["client"][0] if scope.get("client") else "unknown")


def _learning(scope: Scope, caller: str, callers: Buckets, send: Send) -> Send:
    """Return a `send` that gives the caller a bucket once its credentials have proved good."""

    async def learned(message: Message) -> None:
        if message["type"] == "http.response.start" and scope.get("state", {}).get("principal") is not None:
            callers.take(caller)
        await send(message)

    return learned


def _caller_of(scope: Scope) -> str | None:
    """Return a digest of the credentials that a request carries, None without any."""
    headers = Headers(scope=scope)
    credentials = headers.get("Authorization") or cookie_parser(headers.get("Cookie", "")).get(SESSION_COOKIE)
    return hashlib.sha256(credentials.encode("utf-8", "replace")).hexdigest() if credentials else None
