"""A right that ends while a stream of events is open: not one word more is told on it, and it ends."""

import asyncio
from dataclasses import replace

import pytest
from starlette.requests import Request

from api.access import authenticate, hash_token
from api.events import Event
from api.routes.events import _stream
from crm_core.domain.identity import DEFAULT_TENANT


class Feed:
    """Tells of one ticket before and of one after the change of rights."""

    def __init__(self, change, at):
        self._change, self._at = change, at

    async def listen(self):
        yield Event(name="ticket", at=self._at, body={"ticket_id": 1}, region="east")
        self._change()
        yield Event(name="ticket", at=self._at, body={"ticket_id": 2}, region="east")
        pytest.fail("the stream went on")


def changed(**fields):
    def change(uow, token):
        uow.users.save(replace(uow.users.find(DEFAULT_TENANT, "manager-east"), **fields))

    return change


def revoked(uow, token):
    uow.users.revoke_token(hash_token(token))


@pytest.mark.parametrize(
    "change",
    [changed(active=False), changed(regions=("west",)), revoked],
    ids=["deactivated", "other regions", "revoked"],
)
def test_an_open_stream_ends_with_the_right_to_it(world, change):
    app, token = world.app(), world.token("manager-east")
    headers = [(b"authorization", f"Bearer {token}".encode())]
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": headers, "app": app})

    def end_the_right():
        with app.state.services.uow_factory() as uow:
            change(uow, token)
            uow.commit()

    async def read():
        feed, streams = Feed(end_the_right, world.clock.now()), set()
        stream = _stream(request, authenticate(request), feed, None, 60.0, streams)
        told = b"".join([part async for part in stream])
        return told, streams

    told, streams = asyncio.run(read())
    assert b'"ticket_id":1' in told
    assert b'"ticket_id":2' not in told
    assert not streams
