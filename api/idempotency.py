"""Repeats of a POST with the same Idempotency-Key get the first answer again instead of a second effect.

A technician's phone repeats what it could not confirm; so do integrations. Same key and same request: the stored
answer. Same key and another request, or other rights than then: 422. The first one still running: 409. Answers >= 500 are
not kept. Who is not signed in (any more) gets no kept answer: the request goes on and is refused as usual.
The answers lie in the CRM database, so that any process may give them, sealed with the caller's own credentials
and key, which are not stored: who reads the database reads no answer (a new token is in one).
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import msgspec
from cryptography.fernet import Fernet
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import authenticate
from api.problem import Problem
from crm_core.domain.accounts import StoredAnswer
from crm_core.domain.errors import StoreUnavailable
from crm_core.ports import Clock, UnitOfWorkFactory

HEADER: Final = "Idempotency-Key"
MAX_KEY_LENGTH: Final = 128
KEPT: Final = timedelta(hours=24)
STALE: Final = timedelta(minutes=2)  # no request takes as long: its process died


@dataclass(slots=True)
class Answer:
    """What a request was answered."""

    status: int
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Key:
    """A key within the caller's own space; `stored` is what the database holds, `seal` what only the caller knows."""

    stored: str
    seal: bytes


class AnswerMemory:
    """Answers by key, for 24 hours, in the CRM database."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock) -> None:
        self._uow_factory = uow_factory
        self._clock = clock

    def begin(self, key: Key, fingerprint: str) -> Answer | None:
        """Return the complete answer of an earlier request, or None when this one is the first; else a problem."""
        now = self._clock.now()
        with self._uow_factory() as uow:
            first = StoredAnswer(key=key.stored, fingerprint=fingerprint, at=now)
            known = uow.accounts.begin_answer(first, now - STALE)
            if known is not None and known.at <= now - KEPT:
                uow.accounts.finish_answer(first)
                known = None
            uow.commit()
        if known is None:
            return None
        if known.fingerprint != fingerprint:
            raise Problem("key_reused")
        if known.status == 0:
            raise Problem("in_flight", headers={"Retry-After": "1"})
        return msgspec.msgpack.decode(Fernet(key.seal).decrypt(known.body), type=Answer)

    def finish(self, key: Key, fingerprint: str, answer: Answer) -> None:
        """Keep the answer, or forget the key when the server failed so that the client may try again."""
        with self._uow_factory() as uow:
            if answer.status >= 500 or answer.status == 0:
                uow.accounts.drop_answer(key.stored)
            else:
                sealed = Fernet(key.seal).encrypt(msgspec.msgpack.encode(answer))
                uow.accounts.finish_answer(
                    StoredAnswer(
                        key=key.stored,
                        fingerprint=fingerprint,
                        at=self._clock.now(),
                        status=answer.status,
                        body=sealed,
                    )
                )
            uow.commit()


class Idempotency:
    """ASGI middleware for POST under `/api/`; `application` has the services that know who is signed in.

    `answer_problem` turns a problem into a response.
    """

    def __init__(
        self,
        app: ASGIApp,
        application: ASGIApp,
        memory: AnswerMemory,
        answer_problem: Callable[[Scope, Problem], Response],
    ) -> None:
        self._app = app
        self._application = application
        self._memory = memory
        self._answer_problem = answer_problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = key_of(scope)
        if key is None:
            await self._app(scope, receive, send)
            return
        standing = await run_in_threadpool(self._standing, scope)
        if standing is None:
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        fingerprint = _fingerprint(scope, standing, body)
        try:
            known = await run_in_threadpool(self._memory.begin, key, fingerprint)
        except (Problem, StoreUnavailable) as error:
            problem = error if isinstance(error, Problem) else Problem("unavailable")
            await self._answer_problem(scope, problem)(scope, receive, send)
            return
        if known is not None:
            await _replay(known, send)
            return
        await self._first(scope, receive, send, key, fingerprint, body)

    def _standing(self, scope: Scope) -> str | None:
        """Return who asks with which rights, None for nobody; looked up anew, so that a token ends at once."""
        scope.setdefault("app", self._application)
        try:
            who = authenticate(Request(scope))
        except (Problem, StoreUnavailable):
            return None
        return repr((who.user_id, who.role, who.regions, who.scopes, who.customer_id, who.only_order))

    async def _first(
        self, scope: Scope, receive: Receive, send: Send, key: Key, fingerprint: str, body: bytes
    ) -> None:
        """Let the request through and keep what it answers before the client gets the end of it."""
        answer = Answer(0)
        chunks: list[bytes] = []
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def kept(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message["headers"])
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))
                if not message.get("more_body", False):
                    answer.body = b"".join(chunks)
                    await run_in_threadpool(self._memory.finish, key, fingerprint, answer)
            await send(message)

        try:
            await self._app(scope, again, kept)
        except BaseException:
            await run_in_threadpool(self._memory.finish, key, fingerprint, Answer(0))
            raise


def key_of(scope: Scope) -> Key | None:
    """Return the key within the caller's own space (token or cookie), or None when the request carries none."""
    if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/api/"):
        return None
    headers = Headers(scope=scope)
    key = headers.get(HEADER)
    if not key or len(key) > MAX_KEY_LENGTH:
        return None
    caller = headers.get("Authorization", "") + "\0" + headers.get("Cookie", "")
    told = f"{caller}\0{key}".encode("utf-8", "replace")
    seal = base64.urlsafe_b64encode(hashlib.sha256(b"seal\0" + told).digest())
    return Key(hashlib.sha256(b"key\0" + told).hexdigest(), seal)


def _fingerprint(scope: Scope, standing: str, body: bytes) -> str:
    """Return what a repeat must share with the first request: path, query, the caller's rights and the body."""
    digest = hashlib.sha256()
    for part in (scope["path"].encode(), scope["query_string"], standing.encode(), body):
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()


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


async def _replay(known: Answer, send: Send) -> None:
    """Send the kept answer, marked as a repeat."""
    headers = [*known.headers, (b"idempotency-replayed", b"true")]
    await send({"type": "http.response.start", "status": known.status, "headers": headers})
    await send({"type": "http.response.body", "body": known.body})
