"""A fleet that pushes its readings over MQTT: one agent per site, thousands of connections on one thread.

paho's own thread per client does not reach that far; here a selector drives all clients (docs/simulators.md).
"""

import queue
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Self

from simulators.device import SimulatedDevice
from simulators.mqtt_agent import MqttChaos, MqttPlace, SiteAgent
from simulators.truth import Ledger

TURN_SECONDS: Final = 0.05
MISC_EVERY_SECONDS: Final = 0.2


class MqttFleet:
    """Devices that push over MQTT through the agents of their sites; every method is safe from any thread.

    `push(at)` takes a reading of every device that is alive at `at`. Each start of the fleet is a new boot of every
    device: give another `boot` number and sequences begin at 1 again.
    """

    def __init__(
        self,
        devices: Sequence[SimulatedDevice],
        place: MqttPlace,
        *,
        chaos: MqttChaos | None = None,
        seed: int = 0,
        boot: int = 1,
        resend_seconds: float = 5.0,
        ledger: Ledger | None = None,
    ) -> None:
        self.devices = tuple(devices)
        self._place = place
        self._boot = boot
        self._ledger = ledger
        self._seq = dict.fromkeys((d.device_id for d in self.devices), 0)
        self._inbox: queue.SimpleQueue[tuple[str, str, str, int, bytes]] = queue.SimpleQueue()
        self.agents = {
            site_id: SiteAgent(
                site_id,
                place,
                chaos or MqttChaos(),
                seed,
                resend_seconds,
                self._socket_changed,
            )
            for site_id in sorted({device.site_id for device in self.devices})
        }
        self._selector = selectors.DefaultSelector()
        self._registered: dict[str, socket.socket] = {}
        self._wake_out, self._wake_in = socket.socketpair()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def boot_id_of(self, device: SimulatedDevice) -> str:
        """Return the boot id under which a device counts its readings."""
        return f"{device.serial}-{self._boot}"

    @property
    def pending(self) -> int:
        """Readings pushed and not covered by a mark of the collector yet."""
        return self._inbox.qsize() + sum(agent.pending for agent in self.agents.values())

    @property
    def connected(self) -> int:
        """Agents that are connected now."""
        return sum(agent.connected for agent in self.agents.values())

    def push(
        self,
        at: datetime,
        *,
        only: Sequence[SimulatedDevice] | None = None,
        stamped: datetime | None = None,
    ) -> int:
        """Take a reading of all devices (or of `only`) alive at `at` and send it; return how many.

        `stamped` is the time that the readings bear, `at` itself unless told.
        """
        count = 0
        for device in self.devices if only is None else only:
            if not device.answers(at):
                continue
            seq = self._seq[device.device_id] + 1
            self._seq[device.device_id] = seq
            boot_id = self.boot_id_of(device)
            body = device.mqtt_payload(
                at, boot_id=boot_id, seq=seq, tenant=self._place.tenant, stamped=stamped
            )
            if self._ledger is not None:
                self._ledger.pushed(device.device_id, boot_id, seq, stamped or at)
            self._inbox.put((device.site_id, device.device_id, boot_id, seq, body))
            count += 1
        if self._thread is not None:
            self._wake_in.send(b"\0")
        return count

    # --- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect all agents and serve in a thread until `stop`."""
        self._selector.register(self._wake_out, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="mqtt-fleet", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Say good-bye for every agent and end the thread; calling it twice is harmless."""
        if self._thread is None:
            return
        self._stopping.set()
        self._wake_in.send(b"\0")
        self._thread.join()
        self._thread = None
        self._wake_in.close()
        self._wake_out.close()
        self._selector.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_until_covered(self, timeout_seconds: float) -> bool:
        """Return True once every reading pushed is covered by a mark, False when the time is over."""
        end = time.monotonic() + timeout_seconds
        while self.pending:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        misc_at = 0.0
        while not self._stopping.is_set():
            for key, events in self._selector.select(TURN_SECONDS):
                if key.data is None:
                    self._wake_out.recv(4096)
                    continue
                agent: SiteAgent = key.data
                if events & selectors.EVENT_READ:
                    agent.read()
            self._take_inbox()
            now = time.monotonic()
            everyone = now >= misc_at
            misc_at = now + MISC_EVERY_SECONDS if everyone else misc_at
            for agent in self.agents.values():
                if everyone or agent.pending:
                    agent.work(now)
                if agent.client.want_write():
                    agent.write()
        for agent in self.agents.values():
            agent.leave()

    def _take_inbox(self) -> None:
        while True:
            try:
                site_id, device_id, boot_id, seq, body = self._inbox.get_nowait()
            except queue.Empty:
                return
            self.agents[site_id].keep(device_id, boot_id, seq, body)

    def _socket_changed(self, agent: SiteAgent, opened: socket.socket | None) -> None:
        old = self._registered.pop(agent.site_id, None)
        if old is not None:
            self._selector.unregister(old)
        if opened is not None:
            self._selector.register(opened, selectors.EVENT_READ, agent)
            self._registered[agent.site_id] = opened
