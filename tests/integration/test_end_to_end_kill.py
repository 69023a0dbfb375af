"""Kill -9 loses nothing that was acknowledged and doubles no ticket (decision 0004).

The product runs as its own process with the embedded broker and SQLite; a publisher in a second process logs each sequence that
the collector acknowledged. The collector is killed once while a back-log of old readings streams in as fast as it goes and
once while a device reports live; afterwards everything that was logged is in the store, once.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import SystemClock
from config.settings import Settings, load_settings
from config.wiring.core import open_core
from crm_core.domain.fleet import Customer, Device, Site, Transport
from crm_core.domain.identity import CustomerId, DeviceId, SiteId
from crm_core.ports import TicketFilter

pytestmark = pytest.mark.timeout(180)

_PUBLISHER = Path(__file__).with_name("edge_publisher.py")
_PATIENCE_SECONDS = 60


def _until(happens: Callable[[], bool], what: str) -> None:
    """Wait for a condition, not for a while."""
    ends = time.monotonic() + _PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < ends, f"waited {_PATIENCE_SECONDS} s for: {what}"
        time.sleep(0.02)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@dataclass
class Product:
    """`drumbeat serve` in its own process over one data folder."""

    folder: Path
    mqtt_port: int
    api_port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        ours = {
            "DRUMBEAT_GENERAL_DATA_DIR": str(self.folder),
            "DRUMBEAT_MQTT_PORT": str(self.mqtt_port),
            "DRUMBEAT_API_PORT": str(self.api_port),
            "DRUMBEAT_LOG_LEVEL": "warning",
        }
        return {key: value for key, value in os.environ.items() if not key.startswith("DRUMBEAT_")} | ours

    @property
    def settings(self) -> Settings:
        return load_settings(environment=self.environment)

    def start(self) -> None:
        command = [sys.executable, "drumbeat.py", "serve"]
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=Path(__file__).parents[2], env=self.environment, stdout=log, stderr=log
            )
        _until(self._is_up, "the product to start")

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "serve.log").read_text()
        return _answers(self.mqtt_port) and _answers(self.api_port)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
                raise


@pytest.fixture
def product(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Product]:
    """Return the product, not yet started, with one registered device that pushes."""
    folder = tmp_path / "data"
    folder.mkdir()
    product = Product(folder, free_port(), free_port())
    core = open_core(product.settings, SystemClock())
    tenant = core.tenant
    core.registry.save_customer(
        Customer(tenant=tenant, customer_id=CustomerId("c1"), name="ACME", contact_name="Zhang Min")
    )
    core.registry.save_site(
        Site(tenant=tenant, site_id=SiteId("s1"), customer_id=CustomerId("c1"), name="Head office")
    )
    core.registry.register(
        Device(tenant=tenant, device_id=DeviceId("d1"), site_id=SiteId("s1"), transport=Transport.MQTT)
    )
    yield product
    product.stop()


def _logged(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def _stored(product: Product, start: datetime, days: int) -> list[int]:
    """Return the sequences in the telemetry file, as it was found after the end."""
    store = SqliteTelemetryStore(product.settings.telemetry_file, SystemClock())
    try:
        tenant = product.settings.general.tenant
        rows = store.readings(tenant, DeviceId("d1"), start, start + timedelta(days=days), limit=100_000)
        return [row.seq for row in rows if row.seq is not None]
    finally:
        store.close()


def _tickets(product: Product) -> list[str]:
    core = open_core(product.settings, SystemClock())
    with core.uow_factory() as uow:
        return [ticket.cause for ticket in uow.tickets.list(core.tenant, TicketFilter(limit=1000))]


@pytest.mark.parametrize(
    ("story", "begins_ago", "step_seconds", "count", "kill_after"),
    [
        pytest.param("history", timedelta(days=30), 1200.0, 2000, 300, marks=pytest.mark.heavy),
        ("live", timedelta(seconds=60), 0.2, 300, 50),
    ],
)
def test_nothing_acknowledged_is_lost_and_no_ticket_is_doubled(
    product: Product,
    tmp_path: Path,
    story: str,
    begins_ago: timedelta,
    step_seconds: float,
    count: int,
    kill_after: int,
) -> None:
    log = tmp_path / "acknowledged.log"
    start = (datetime.now(UTC) - begins_ago).replace(microsecond=0)
    product.start()
    arguments = [
        str(product.mqtt_port),
        "s1",
        "d1",
        f"boot-{story}",
        str(count),
        str(log),
        start.isoformat(),
        str(step_seconds),
    ]
    publisher = subprocess.Popen([sys.executable, str(_PUBLISHER), *arguments])
    try:
        _until(lambda: len(_logged(log)) >= kill_after, "acknowledgements before the kill")
        product.kill()
        survived = _logged(log)
        assert set(survived) <= set(_stored(product, start - timedelta(hours=1), 30)), (
            "acknowledged, then lost"
        )
        assert len(survived) < count, "the kill came too late to prove anything"
        product.start()
        assert publisher.wait(_PATIENCE_SECONDS) == 0, "the publisher was not acknowledged to the end"
        _until(lambda: bool(_tickets(product)), "the paper jam to become a ticket")
    finally:
        publisher.kill()
        publisher.wait()
    product.stop()
    stored = _stored(product, start - timedelta(hours=1), 30)
    assert sorted(stored) == list(range(1, count + 1)), "each sequence is stored exactly once"
    assert len(_tickets(product)) == len(set(_tickets(product))), "a ticket was doubled"
