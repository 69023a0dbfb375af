"""A part that a technician renewed starts a new life, although its machine says nothing about it."""

from datetime import timedelta
from pathlib import Path

import pytest

from analytics.part_fits import FitLedger
from collector.stores.memory import MemoryTelemetryStore
from crm_core.domain.identity import DEFAULT_TENANT, DeviceId, TicketId, WorkOrderId
from crm_core.domain.service import (
    Ticket,
    TicketLevel,
    TicketState,
    WorkOrder,
    WorkOrderKind,
    WorkOrderState,
)
from crm_core.ports import UnitOfWorkFactory
from tests.unit.analytics import fleet

MODEL = "hp-laserjet-m404dn"  # its fuser is designed for 150,000 pages, and the machine states no gauge of it


def finished(
    factory: UnitOfWorkFactory, *causes: str, outcome: str = "fixed", count: int | None = 140_000
) -> None:
    """Store a finished visit at device `a` for these causes."""
    now = fleet.FIRST_DAY + timedelta(days=20)
    with factory() as uow:
        ids = []
        for cause in causes:
            ticket = Ticket(
                tenant=DEFAULT_TENANT, ticket_id=TicketId(0), device_id=DeviceId("a"), site_id=None, customer_id=None,
                cause=cause, category="mechanical", level=TicketLevel.L2, state=TicketState.CLOSED, title_key="t",
                detail={}, raised_at=now, changed_at=now, clocks=(), evidence=(),
            )  # fmt: skip
            made = uow.tickets.open_unless_covered(ticket)
            assert made is not None
            ids.append(made.ticket_id)
        uow.work_orders.add(
            WorkOrder(
                tenant=DEFAULT_TENANT,
                work_order_id=WorkOrderId(0),
                kind=WorkOrderKind.MAINTENANCE,
                state=WorkOrderState.DONE,
                device_id=DeviceId("a"),
                site_id=None,
                customer_id=None,
                ticket_ids=tuple(ids),
                technician_id=None,
                assigned_reason="",
                created_at=now,
                due_at=now,
                done_at=now,
                outcome=outcome,
                count_after=count,
            )
        )
        uow.commit()


@pytest.mark.parametrize(
    ("causes", "outcome", "count", "share"),
    [
        ((), "fixed", None, 145 / 150),
        (("life.fuser",), "fixed", 140_000, 5 / 150),
        (("supply.1.1", "life.fuser"), "fixed", 140_000, 5 / 150),
        (("life.maintenance_kit",), "fixed", 140_000, 5 / 150),
        (("life.feed_rollers",), "fixed", 140_000, 145 / 150),
        (("life.fuser",), "not_fixed", 140_000, 145 / 150),
        (("life.fuser",), "fixed", None, 145 / 150),
    ],
)
def test_the_life_of_a_renewed_part_begins_anew(
    tmp_path: Path, causes: tuple[str, ...], outcome: str, count: int | None, share: float
) -> None:
    store = MemoryTelemetryStore()
    for number in range(30):
        fleet.land(store, fleet.reading("a", number, level=50, count=145_000 - 100 * (29 - number)))
    run, factory = fleet.forecaster(tmp_path, store, fleet.devices("a", model_id=MODEL))
    if causes:
        finished(factory, *causes, outcome=outcome, count=count)
    run.run(DEFAULT_TENANT, fleet.day(29))
    with factory() as uow:
        life = {each.component: each for each in uow.forecasts.for_device(DEFAULT_TENANT, DeviceId("a")).life}
    assert life["fuser"].used_share == pytest.approx(share, abs=0.001)


def test_each_order_is_read_once_and_the_latest_fit_counts(tmp_path: Path) -> None:
    _, factory = fleet.forecaster(tmp_path, MemoryTelemetryStore(), fleet.devices("a", model_id=MODEL))
    ledger = FitLedger()
    finished(factory, "life.fuser", count=100)
    with factory() as uow:
        assert ledger.take(uow, DEFAULT_TENANT)["a", "fuser"] == 100
    finished(factory, "life.fuser", count=900)
    with factory() as uow:
        assert ledger.take(uow, DEFAULT_TENANT)["a", "fuser"] == 900
        assert ledger.take(uow, DEFAULT_TENANT)["a", "fuser"] == 900
