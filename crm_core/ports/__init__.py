"""The ports: what the product needs from the world, named in its own words.

Adapters live at the edges (`collector.stores`, `crm_core.storage`, `config`) and are put together only in
`config.wiring`. Each port has a contract suite in `tests/contract` that all its adapters pass.
All methods are synchronous and safe to call from a worker thread; instants are aware UTC.
"""

from crm_core.ports.accounts import AccountsRepository
from crm_core.ports.agreements import AgreementsRepository
from crm_core.ports.billing import BillingRepository
from crm_core.ports.crm import (
    Changes,
    CommitListener,
    DeviceFilter,
    DevicePlace,
    DeviceRepository,
    FleetRow,
    IncidentRepository,
    Lease,
    LeaseRepository,
    Repository,
    SignalRepository,
    TicketFilter,
    TicketRepository,
    UnitOfWork,
    UnitOfWorkFactory,
    UserRepository,
    WorkOrderFilter,
    WorkOrderRepository,
)
from crm_core.ports.fieldwork import AttachmentStore, FieldworkRepository
from crm_core.ports.forecasts import DeviceForecasts, FleetShares, ForecastRepository, SoonEmpty
from crm_core.ports.notices import NoticesRepository, Sender
from crm_core.ports.quality import QualityRepository
from crm_core.ports.relations import RelationsRepository
from crm_core.ports.stock import StockRepository
from crm_core.ports.telemetry import (
    AppendResult,
    Clock,
    Landing,
    SignalInbox,
    StoreStats,
    TelemetryStore,
    Timer,
)
from crm_core.ports.trust import PersonalLock, TrustRepository

__all__ = [
    "AccountsRepository",
    "AgreementsRepository",
    "AppendResult",
    "AttachmentStore",
    "BillingRepository",
    "Changes",
    "Clock",
    "CommitListener",
    "DeviceFilter",
    "DeviceForecasts",
    "DevicePlace",
    "DeviceRepository",
    "FieldworkRepository",
    "FleetRow",
    "FleetShares",
    "ForecastRepository",
    "IncidentRepository",
    "Landing",
    "Lease",
    "LeaseRepository",
    "NoticesRepository",
    "PersonalLock",
    "QualityRepository",
    "RelationsRepository",
    "Repository",
    "Sender",
    "SignalInbox",
    "SignalRepository",
    "SoonEmpty",
    "StockRepository",
    "StoreStats",
    "TelemetryStore",
    "TicketFilter",
    "TicketRepository",
    "Timer",
    "TrustRepository",
    "UnitOfWork",
    "UnitOfWorkFactory",
    "UserRepository",
    "WorkOrderFilter",
    "WorkOrderRepository",
]
