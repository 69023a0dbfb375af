"""What every request passes: its id, the time it took, security headers, and one line in the log.

Pure ASGI, so that streamed answers stay streams.
"""

import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problem import Problem
from crm_core.domain.actors import acting

_log = logging.getLogger("drumbeat.api")
_REQUEST_ID = re.compile(r"^[A-Za-z0-9-]{8,64}$")

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: What style sheets, scripts and icons need of it: policies about documents say nothing to them.
FILE_HEADERS: Final = ("X-Content-Type-Options", "Cross-Origin-Resource-Policy", "Strict-Transport-Security")
STATIC_PREFIX: Final = "/static/"
FRAME_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
}


class HttpMetrics:
    """The figures of the HTTP side: `drumbeat_http_requests_total` and `drumbeat_http_request_seconds`.

    With a `folder` several workers count into it, and `registry` tells the sum of all of them.
    """

    def __init__(self, registry: CollectorRegistry | None, folder: str = "") -> None:
        if folder:
            MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]  # the library gives it no types
            registry = None
        self.requests = Counter(
            "drumbeat_http_requests", "HTTP requests by route template, method and status", ("route", "method", "status"), registry=registry
        )  # fmt: skip
        self.seconds = Histogram(
            "drumbeat_http_request_seconds", "Time to answer an HTTP request, in seconds", ("route",),
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5), registry=registry,
        )  # fmt: skip
        self.locks = Counter(
            "drumbeat_sign_in_locks", "Accounts and addresses locked after repeated failed sign-ins", ("kind",), registry=registry
        )  # fmt: skip

    def sign_in_locked(self, kind: str) -> None:
        """Count an alarm of the sign-in guard."""
        self.locks.labels(kind).inc()


class RequestFrame:
    """The frame around each request. `secure` adds HSTS, for installations behind HTTPS."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics, *, secure: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._headers = dict(FRAME_HEADERS)
        if secure:
            self._headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("X-Request-Id"))
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = 500

        async def framed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._frame(MutableHeaders(scope=message), scope["path"], request_id)
            await send(message)

        try:
            with acting():  # the rule of the route names the person: the audit chain keeps who changed what
                await self._app(scope, receive, framed_send)
        finally:
            self._account(scope, status, time.perf_counter() - started, request_id)

    def _frame(self, headers: MutableHeaders, path: str, request_id: str) -> None:
        """Add our headers; what a route has set itself stays. Files need few: technicians pay for each byte."""
        if path.startswith(STATIC_PREFIX):
            for name in FILE_HEADERS:
                if name in self._headers:
                    headers.setdefault(name, self._headers[name])
            return
        headers["X-Request-Id"] = request_id
        for name, value in self._headers.items():
            headers.setdefault(name, value)
        headers.setdefault("Cache-Control", "no-store")

    def _account(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        """Count the request by its route template (never the raw path: that would be unbounded) and log it."""
        route = route_template(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(route, method, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        principal = scope.get("state", {}).get("principal")
        _log.info(
            "request",
            extra={
                "request_id": request_id,
                "method": method,
                "route": route,
                "status": status,
                "milliseconds": round(seconds * 1000, 1),
                "user": principal.user_id if principal else None,
            },
        )


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def route_template(scope: Scope) -> str:
    """Return the matched route's template such as `/api/v1/devices/{device_id}`; 'unmatched' when there is none."""
    context = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    path = getattr(context, "path_format", None) or getattr(context, "path", None)
    return str(path) if path else "unmatched"


def _request_id(sent: str | None) -> str:
    """Return the caller's id if it is harmless, else a new one."""
    return sent if sent and _REQUEST_ID.fullmatch(sent) else secrets.token_hex(8)


class BodyLimit:
    """Refuses bodies larger than `max_bytes`, counted as they stream in, with 413 as a problem.

    Own, because FastAPI's `max_body_size` answers in plain text (tried with 0.165).
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        answer_problem: Callable[[Scope, Problem], Response],
        larger: Mapping[str, int] | None = None,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._larger = larger or {}  # beginning of a path -> limit, for uploads of files
        self._answer_problem = answer_problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stated = Headers(scope=scope).get("Content-Length", "")
        most = next(
            (n for path, n in self._larger.items() if scope["path"].startswith(path)), self._max_bytes
        )
        if stated.isascii() and stated.isdigit() and int(stated[:20]) > most:
            await self._refuse(scope, receive, send)
            return
        await self._counted(scope, receive, send, most)

    async def _counted(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        """Let the request through while its body stays small; once it is too large nothing but 413 goes out."""
        seen, exceeded, started = 0, False, False

        async def limited_receive() -> Message:
            nonlocal seen, exceeded
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                exceeded = True
                raise Problem("too_large")
            return message

        async def limited_send(message: Message) -> None:
            nonlocal started
            if not exceeded or started:
                started = True
                await send(message)

        try:
            await self._app(scope, limited_receive, limited_send)
        except Problem:
            if not exceeded:
                raise
        if exceeded and not started:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 and close: what is left of the body is not read."""
        response = self._answer_problem(scope, Problem("too_large"))
        response.headers["Connection"] = "close"
        await response(scope, receive, send)
