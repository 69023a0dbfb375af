"""Two real processes that triage over one database, for tests of take-over."""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from crm_core.domain.service import TicketState
from crm_core.ports import TicketFilter, WorkOrderFilter
from crm_core.storage.schema import leases
from crm_core.storage.sqlalchemy_uow import make_engine, make_uow_factory, migrate
from tests.builders import TENANT, a_condition, a_signal, a_small_fleet

TAKE_OVER_SECONDS = 15.0  # issue 7: take-over under 15 s


class Cluster:
    """Two nodes on the database at `url`, and a device that reports a new cause whenever asked.

    A node stops itself within its next transaction as leader when the file of its name appears in `folder`.
    """

    def __init__(self, url: str, lease_seconds: float, folder: Path) -> None:
        self.url, self.folder, self.lease_seconds = url, folder, lease_seconds
        migrate(self.url)
        self.uow_factory = make_uow_factory(self.url)
        a_small_fleet(self.uow_factory, devices=200)
        self._engine = make_engine(self.url)
        self._raised = 0
        self.nodes = {name: self._start(name) for name in ("a", "b")}

    def _start(self, name: str) -> subprocess.Popen[str]:
        told = [self.url, name, str(self.lease_seconds), str(self.folder / name)]
        command = [sys.executable, "-m", "tests.integration.service_node", *told]
        node = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert node.stdout is not None
        assert node.stdout.readline() == "ready\n"
        return node

    def leader(self) -> str:
        with self._engine.connect() as connection:
            return connection.execute(leases.select()).one().holder

    def raise_one(self) -> None:
        self._raised += 1
        now, device_id = datetime.now(UTC), f"d{self._raised}"
        part = a_condition(f"fault.part{self._raised}")  # the same part on all would be a campaign
        with self.uow_factory() as uow:
            uow.signals.append([a_signal(part, at=now, device_id=device_id)])
            uow.commit()

    def tickets(self) -> list[str]:
        with self.uow_factory() as uow:
            found = uow.tickets.list(TENANT, TicketFilter(limit=10_000))
        assert all(ticket.state in (TicketState.NEW, TicketState.SCHEDULED) for ticket in found)
        return sorted(ticket.device_id for ticket in found)

    def orders(self) -> list[str]:
        """Return the device of each work order that is not over, once for each."""
        with self.uow_factory() as uow:
            return sorted(
                order.device_id for order in uow.work_orders.list(TENANT, WorkOrderFilter(limit=10_000))
            )

    def wait_for_tickets(self, number: int, seconds: float) -> float:
        """Return after how long there were so many tickets; fail when it takes too long."""
        return _wait_for(self.tickets, number, seconds)

    def wait_for_orders(self, number: int, seconds: float) -> float:
        """Return after how long there were so many work orders; fail when it takes too long."""
        return _wait_for(self.orders, number, seconds)

    def stop(self) -> None:
        for node in self.nodes.values():
            node.kill()
            node.wait()
            if node.stdout is not None:
                node.stdout.close()
        self.uow_factory.close()
        self._engine.dispose()


def _wait_for(found: Callable[[], list[str]], number: int, seconds: float) -> float:
    began = time.monotonic()
    while len(found()) < number:
        assert time.monotonic() - began < seconds, f"{len(found())} of {number}"
        time.sleep(0.1)
    return time.monotonic() - began
