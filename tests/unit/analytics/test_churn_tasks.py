"""A customer who may leave gets one task that says so (99): not one a night, and none for a single complaint."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from analytics.features import FleetState
from analytics.model_registry import ModelRegistry
from analytics.priors import SupplyPriorBook
from analytics.quality_night import CHURN_TASK, QualityNight
from collector.stores.memory import MemoryTelemetryStore
from config.catalogue_files import load_catalogue
from config.clock import VirtualClock
from crm_core.domain.customer_files import Channel
from crm_core.domain.fleet import Contract, Customer, CustomerTier
from crm_core.domain.identity import DEFAULT_TENANT, ContractId, CustomerId
from crm_core.domain.money import Money
from crm_core.domain.relations import Complaint, TaskState
from crm_core.storage.memory import MemoryUnitOfWorkFactory
from tests.policies import a_policy

_TODAY = date(2026, 3, 1)
_NOW = datetime(2026, 3, 2, tzinfo=UTC)


def _complaint(customer: CustomerId) -> Complaint:
    return Complaint(
        tenant=DEFAULT_TENANT, complaint_id=0, customer_id=customer, subject="s", text="t", channel=Channel.PHONE,
        raised_at=_NOW, due_at=_NOW, due_reason="", owner="o",
    )  # fmt: skip


def test_several_reasons_to_leave_make_one_task(tmp_path: Path) -> None:
    factory = MemoryUnitOfWorkFactory()
    both, single = CustomerId("both"), CustomerId("single")
    with factory() as uow:
        for name in (both, single):
            uow.customers.save(
                Customer(
                    tenant=DEFAULT_TENANT,
                    customer_id=name,
                    name=name,
                    kind="company",
                    tier=CustomerTier.ORDINARY,
                )
            )
            uow.relations.complaints.add(_complaint(name))
        uow.contracts.save(
            Contract(
                tenant=DEFAULT_TENANT, contract_id=ContractId("k"), customer_id=both, starts_on=date(2025, 1, 1),
                ends_on=_TODAY + timedelta(days=40), monthly_rent=Money(Decimal("1.00")),
            )
        )  # fmt: skip
        uow.commit()
    night = QualityNight(
        DEFAULT_TENANT,
        MemoryTelemetryStore(),
        factory,
        a_policy(),
        VirtualClock(_NOW),
        ModelRegistry(tmp_path),
    )
    state = FleetState(DEFAULT_TENANT, SupplyPriorBook(load_catalogue()))
    for days in (0, 1, 31):  # the next night, and the next month while the first one is still open
        night.look_ahead(state, {}, [], [], _TODAY + timedelta(days=days))
    with factory() as uow:
        tasks = uow.relations.tasks.where(DEFAULT_TENANT, kind=CHURN_TASK)
    assert [(task.subject, task.customer_id, task.role, task.state) for task in tasks] == [
        ("customer:both", both, "customer_specialist", TaskState.OPEN)
    ]
    assert tasks[0].due_at > _NOW
