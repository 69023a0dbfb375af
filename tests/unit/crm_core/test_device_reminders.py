"""What is coming up for one device stands in one list: consumables, contract, care, tasks (requirement 36)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from crm_core.domain.fieldwork import MaintenancePlan
from crm_core.domain.identity import CustomerId, DeviceId
from crm_core.domain.relations import Task
from crm_core.relations.device_reminders import device_reminders
from tests.builders import T0, TENANT, a_contract, a_small_fleet, a_supply_forecast
from tests.policies import a_policy
from tests.relations_firm import Firm

NOW = datetime(2026, 12, 1, 4, tzinfo=UTC)


def rows(firm, now=NOW):
    with firm.uow() as uow:
        bundle = uow.devices.bundle(TENANT, DeviceId("d1"))
        return [
            (each.kind, each.on, each.what, each.overdue)
            for each in device_reminders(uow, bundle, a_policy(), now)
        ]


def furnished() -> Firm:
    firm = Firm()
    a_small_fleet(firm.uow, devices=2)
    firm.save(replace(a_contract(), ends_on=date(2027, 5, 31)))
    task = Task(
        tenant=TENANT, task_id=0, kind="data_check", subject="device:d1", period="2026-11", customer_id=CustomerId("c1"),
        due_at=NOW - timedelta(days=2), created_at=T0, role="dispatcher",
    )  # fmt: skip
    with firm.uow() as uow:
        device = uow.devices.get(TENANT, DeviceId("d1"))
        uow.devices.save(replace(device, contract_id=a_contract().contract_id))
        uow.forecasts.save_all([a_supply_forecast(days=9.0, made_at=NOW)])
        uow.fieldwork.plans.add(
            MaintenancePlan(
                tenant=TENANT, device_id=DeviceId("d1"), every_pages=30_000, every_days=180,
                last_at=datetime(2026, 10, 1, tzinfo=UTC), last_count=0,
            )
        )  # fmt: skip
        uow.relations.tasks.add_once(task)
        uow.relations.tasks.add_once(replace(task, subject="device:d2"))
        uow.commit()
    return firm


def test_consumables_contract_care_and_tasks_stand_in_one_list_by_date():
    assert rows(furnished()) == [
        ("task", date(2026, 11, 29), "data_check", True),
        ("supply", date(2026, 12, 10), "toner", False),
        ("renewal", date(2027, 2, 28), "k1", False),
        ("care", date(2027, 3, 30), "maintenance", False),
        ("contract_end", date(2027, 5, 31), "k1", False),
    ]


def test_what_is_over_is_no_reminder():
    firm = furnished()
    assert "renewal" not in {kind for kind, *_ in rows(firm, datetime(2027, 3, 2, tzinfo=UTC))}
    late = {kind: overdue for kind, _, _, overdue in rows(firm, datetime(2027, 6, 1, tzinfo=UTC))}
    assert {"renewal", "contract_end"}.isdisjoint(late)
    assert late["care"] is True
