"""Live changes for pages and programs as server-sent events."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from api.access import OWNED, Principal, authenticate, services_of
from api.events import Event, EventFeed
from api.problem import Problem

router = APIRouter(tags=["events"])

HEARTBEAT_SECONDS: Final = 15.0
LastEvent = Annotated[
    str | None,
    Header(alias="Last-Event-ID", max_length=64, description="the id of the last event that was seen"),
]


@router.get(
    "/events",
    summary="Live changes",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "events `ticket` and `work_order` with id, version and state; `reset`: load anew",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def events(
    request: Request,
    principal: Annotated[Principal, Depends(OWNED)],
    last_event: LastEvent = None,
    wait_seconds: Annotated[int, Query(ge=0, le=3600, description="the stream ends after this time")] = 3600,
) -> StreamingResponse:
    """Stream changes of tickets and work orders in sight. A comment every 15 s shows that the line is alive."""
    open_streams: set[object] = request.app.state.open_streams
    if len(open_streams) >= services_of(request).settings.event_streams:
        raise Problem("unavailable", headers={"Retry-After": "30"})
    since = _instant(last_event)
    feed = _feed(request, principal)
    stream = _stream(request, principal, feed, since, float(wait_seconds), open_streams)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _stream(
    request: Request,
    principal: Principal,
    feed: EventFeed,
    since: datetime | None,
    wait_seconds: float,
    open_streams: set[object],
) -> AsyncIterator[bytes]:
    """Yield what is told until the time is over, the page goes away or the right ends."""
    mark = object()
    open_streams.add(mark)
    until = time.monotonic() + wait_seconds
    try:
        yield b"retry: 3000\n\n"
        for event in await _missed(feed, since):
            if event.is_for(principal):
                yield event.encoded()
        beat = time.monotonic() + HEARTBEAT_SECONDS
        if wait_seconds <= 0:
            return
        async for change in feed.listen():
            now = time.monotonic()
            told = change.encoded() if change is not None and change.is_for(principal) else None
            if told is None and now >= beat:
                told = b": beat\n\n"
            if told is not None:
                # asked before each word, not only at the beat: a right that ended must not last until the next one
                if not await run_in_threadpool(_still_allowed, request, principal):
                    return
                beat = now + HEARTBEAT_SECONDS
                yield told
            if now >= until:
                return
    finally:
        open_streams.discard(mark)


async def _missed(feed: EventFeed, since: datetime | None) -> list[Event]:
    """Return what a page missed while it was away."""
    if since is None:
        return []
    found = await run_in_threadpool(feed.changed_since, since)
    return [Event(name="reset", at=since)] if found is None else found


def _still_allowed(request: Request, principal: Principal) -> bool:
    """Return True while the token of the stream holds and gives the same rights: revocation ends the stream."""
    try:
        return authenticate(request) == principal
    except Problem:
        return False


def _feed(request: Request, principal: Principal) -> EventFeed:
    """Return the feed of the tenant; one for all streams of an event loop."""
    feeds: dict[tuple[int, str], EventFeed] = request.app.state.event_feeds
    key = (id(asyncio.get_running_loop()), principal.tenant)
    if key not in feeds:
        services = services_of(request)
        feeds[key] = EventFeed(services.read_uow_factory, services.clock, principal.tenant)
    return feeds[key]


def _instant(text: str | None) -> datetime | None:
    """Return the instant of an event id; None for none, and for ids that no event of ours has."""
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo is not None and 1970 <= instant.year <= 2200 else None
