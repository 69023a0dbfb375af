"""Repeats of a POST with the same Idempotency-Key get the first answer again instead of a second effect.

A technician's phone repeats what it could not confirm; so do integrations. Same key and same request: the stored
answer. Same key and another request: 422. The first one still running: 409. Answers >= 500 are not kept.
The memory is of this process and bounded; the state machines and If-Match protect what outlives it.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problem import Problem

HEADER: Final = "Idempotency-Key"
MAX_KEY_LENGTH: Final = 128
_KEPT_SECONDS: Final = 24 * 3600.0


@dataclass(slots=True)
class _Answer:
    """The first request under a key, and its answer once it is complete."""

    fingerprint: bytes
    at: float
    complete: bool = False
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


class AnswerMemory:
    """Answers by key, for 24 hours, at most `max_answers` (the oldest go first)."""

    def __init__(self, max_answers: int = 5_000, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._max_answers = max_answers
        self._monotonic = monotonic
        self._lock = threading.Lock()

    def begin(self, key: str, fingerprint: bytes) -> _Answer | None:
        """Return the complete answer of an earlier request, or None when this one is the first; else a problem."""
        now = self._monotonic()
        with self._lock:
            known = self._answers.get(key)
            if known is not None and now - known.at > _KEPT_SECONDS:
                known = None
            if known is None:
                self._answers[key] = _Answer(fingerprint, now)
                self._answers.move_to_end(key)
                while len(self._answers) > self._max_answers:
                    self._answers.popitem(last=False)
                return None
            if known.fingerprint != fingerprint:
                raise Problem("key_reused")
            if not known.complete:
                raise Problem("in_flight", headers={"Retry-After": "1"})
            return known

    def finish(self, key: str, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Keep the answer, or forget the key when the server failed so that the client may try again."""
        with self._lock:
            answer = self._answers.get(key)
            if answer is None:
                return
            if status >= 500 or status == 0:
                del self._answers[key]
                return
            answer.status, answer.headers, answer.body, answer.complete = status, headers, body, True


class Idempotency:
    """ASGI middleware for POST under `/api/`; `answer_problem` turns a problem into a response."""

    def __init__(
        self, app: ASGIApp, memory: AnswerMemory, answer_problem: Callable[[Scope, Problem], Response]
    ) -> None:
        self._app = app
        self._memory = memory
        self._answer_problem = answer_problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = _key_of(scope)
        if key is None:
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        try:
            known = self._memory.begin(key, hashlib.sha256(scope["path"].encode() + b"\0" + body).digest())
        except Problem as problem:
            await self._answer_problem(scope, problem)(scope, receive, send)
            return
        if known is not None:
            await _replay(known, send)
            return
        await self._first(scope, receive, send, key, body)

    async def _first(self, scope: Scope, receive: Receive, send: Send, key: str, body: bytes) -> None:
        """Let the request through and keep what it answers."""
        start: Message = {"status": 0, "headers": []}
        chunks: list[bytes] = []
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def kept(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = {**message, "headers": list(message["headers"])}  # later layers change their list
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, again, kept)
        finally:
            self._memory.finish(key, start["status"], list(start["headers"]), b"".join(chunks))


def _key_of(scope: Scope) -> str | None:
    """Return the key within the caller's own space (token or cookie), or None when the request carries none."""
    if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/api/"):
        return None
    headers = Headers(scope=scope)
    key = headers.get(HEADER)
    if not key or len(key) > MAX_KEY_LENGTH:
        return None
    caller = headers.get("Authorization", "") + "\0" + headers.get("Cookie", "")
    return hashlib.sha256(f"{caller}\0{key}".encode("utf-8", "replace")).hexdigest()


async def _read(receive: Receive) -> bytes:
    """Return the whole body; its size is bounded by the limit that stands before this middleware."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(chunks)
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _replay(known: _Answer, send: Send) -> None:
    """Send the kept answer, marked as a repeat."""
    headers = [*known.headers, (b"idempotency-replayed", b"true")]
    await send({"type": "http.response.start", "status": known.status, "headers": headers})
    await send({"type": "http.response.body", "body": known.body})
