"""The ports: what the product needs from the world, named in its own words.

Adapters live at the edges (`collector.stores`, `crm_core.storage`, `config`) and are put together only in
`config.wiring`. Each port has a contract suite in `tests/contract` that all its adapters pass.
All methods are synchronous and safe to call from a worker thread; instants are aware UTC.
"""

from crm_core.ports.crm import (
    DeviceForecasts,
    DeviceRepository,
    ForecastRepository,
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
from crm_core.ports.telemetry import (
    AppendResult,
    Clock,
    Landing,
    SignalInbox,
    StoreStats,
    TelemetryStore,
    Timer,
)

__all__ = [
    "AppendResult",
    "Clock",
    "DeviceForecasts",
    "DeviceRepository",
    "ForecastRepository",
    "IncidentRepository",
    "Landing",
    "Lease",
    "LeaseRepository",
    "Repository",
    "SignalInbox",
    "SignalRepository",
    "StoreStats",
    "TelemetryStore",
    "TicketFilter",
    "TicketRepository",
    "Timer",
    "UnitOfWork",
    "UnitOfWorkFactory",
    "UserRepository",
    "WorkOrderFilter",
    "WorkOrderRepository",
]
