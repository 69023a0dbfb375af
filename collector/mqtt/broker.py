"""The broker inside the process, so that one command needs no server: amqtt in its own thread and event loop.

It speaks MQTT 3.1.1 and keeps nothing over a restart; senders resend until the collector's marks cover them, so
nothing depends on it. For a site with many senders use mosquitto (docs/mqtt.md).
"""

import asyncio
import logging
import socket
import threading
from typing import Final

from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig
from amqtt.errors import BrokerError
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from crm_core.domain.errors import StoreUnavailable

_START_SECONDS: Final = 10.0
_LAST_ROUNDS: Final = 5
_QUIET: Final = ("amqtt", "transitions")


class AdmitEverybody(BaseAuthPlugin):  # type: ignore[misc]  # amqtt is untyped here
    """Lets every client in, by its client id: sessions of clients that amqtt calls anonymous keep no messages."""

    async def authenticate(self, *, session: Session) -> bool:
        """Admit the client."""
        session.is_anonymous = False
        return True


class ClosingBroker(Broker):  # type: ignore[misc]  # amqtt is untyped here
    """amqtt's broker; it closes each connection that it has done with.

    amqtt 0.12 itself leaves those open that end before they are a session: cut off while they connect, or garbage.
    """

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve one connection to its end."""
        try:
            await super().stream_connected(reader, writer, listener_name)
        finally:
            writer.close()


class EmbeddedBroker:
    """An MQTT 3.1.1 broker on `host`; port 0 takes a free one, `port` tells which after `start`.

    Anonymous clients are allowed, so bind it to loopback or to a network that only agents share.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 1883) -> None:
        self.host = host
        self.port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._failure: BrokerError | None = None

    def start(self) -> None:
        """Start serving; return when the port listens. Raise `StoreUnavailable` if that fails."""
        if self.port == 0:
            self.port = _free_port(self.host)
        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._started.clear()
        self._failure = None
        self._thread = threading.Thread(target=self._run, name="mqtt-broker", daemon=True)
        self._thread.start()
        if not self._started.wait(_START_SECONDS):
            raise StoreUnavailable(f"the embedded broker did not start within {_START_SECONDS:.0f} s")
        failure = self._failure_now()
        if failure is not None:
            self._thread.join()
            self._thread = None
            raise StoreUnavailable(
                f"the embedded broker cannot listen on {self.host}:{self.port}: {failure}; choose another port"
            ) from failure

    def stop(self) -> None:
        """Close all connections and end the thread; harmless when not started."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_START_SECONDS)
        self._thread = None

    def _failure_now(self) -> BrokerError | None:
        return self._failure

    def _run(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_note)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()
            self._started.set()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        listener = ListenerConfig(bind=f"{self.host}:{self.port}")
        plugins: dict[str, object] = {f"{__name__}.{AdmitEverybody.__name__}": {}}
        broker = ClosingBroker(BrokerConfig(listeners={"default": listener}, plugins=plugins))
        try:
            await broker.start()
        except BrokerError as error:
            self._failure = error
            return
        self._started.set()
        await self._stop.wait()
        await broker.shutdown()
        await _some_rounds()  # whoever was accepted begins to be served, and so is closed below
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await _some_rounds()  # closed connections are given up in the loop's next rounds


async def _some_rounds() -> None:
    for _ in range(_LAST_ROUNDS):
        await asyncio.sleep(0)


def _note(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Keep failures of single connections out of the way: the broker goes on, senders resend."""
    logging.getLogger("amqtt").debug("connection failed: %s", context.get("message"))


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
