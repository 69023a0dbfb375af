"""All services of money, put together once for API, commands and jobs."""

from dataclasses import dataclass

from crm_core.agreements.contract_desk import ContractDesk
from crm_core.agreements.contract_devices import ContractDevices
from crm_core.billing.accounts import Accounts
from crm_core.billing.payments import PaymentDesk
from crm_core.billing.payouts import PayoutDesk
from crm_core.billing.plans import PlanDesk
from crm_core.billing.repair_desk import RepairDesk
from crm_core.billing.run import BillingRun
from crm_core.billing.statements import StatementDesk
from crm_core.domain.policy import PolicyBook
from crm_core.notices.addressing import Addressing
from crm_core.ports import AttachmentStore, Clock, TelemetryStore, UnitOfWorkFactory


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyServices:
    """Contracts and billing. `accounts` reads, `links` is the same with the right to write links."""

    plans: PlanDesk
    contracts: ContractDesk
    contract_devices: ContractDevices
    billing: BillingRun
    payments: PaymentDesk
    payouts: PayoutDesk
    repairs: RepairDesk
    accounts: Accounts
    links: Accounts
    statements: StatementDesk


def build_money(
    uow_factory: UnitOfWorkFactory,
    read_uow_factory: UnitOfWorkFactory,
    store: TelemetryStore,
    clock: Clock,
    policy: PolicyBook,
    files: AttachmentStore,
    addressing: Addressing | None = None,
) -> MoneyServices:
    """Return the services of money over one CRM and one telemetry store; `addressing`: who is reached how."""
    return MoneyServices(
        plans=PlanDesk(uow_factory),
        contracts=ContractDesk(uow_factory, clock, policy),
        contract_devices=ContractDevices(uow_factory, clock, policy),
        billing=BillingRun(uow_factory, store, clock, policy),
        payments=PaymentDesk(uow_factory, clock, policy),
        payouts=PayoutDesk(uow_factory, clock, policy),
        repairs=RepairDesk(uow_factory, clock, policy),
        accounts=Accounts(read_uow_factory, clock, policy),
        links=Accounts(uow_factory, clock, policy),
        statements=StatementDesk(uow_factory, store, clock, policy, files, addressing),
    )
