"""The CRM in memory, for simulations and tests: the same promises as the database, thousands of times as fast.

One transaction at a time holds the lock. Changes are noted in a journal and undone when the block is left without
`commit`. Entities are frozen, so what was stored cannot change under anybody's hands.
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from crm_core.domain.errors import Conflict
from crm_core.domain.fleet import Contract, Customer, Site
from crm_core.domain.forecast import Forecast, SupplyForecast
from crm_core.domain.identity import DeviceId, SignalId, TenantId
from crm_core.domain.service import (
    AccessToken,
    CauseTrack,
    Incident,
    IncidentKind,
    Signal,
    SignalOrigin,
    Technician,
    User,
)
from crm_core.ports import (
    AccountsRepository,
    AgreementsRepository,
    BillingRepository,
    Changes,
    CommitListener,
    DeviceForecasts,
    DeviceRepository,
    FieldworkRepository,
    FleetShares,
    ForecastRepository,
    IncidentRepository,
    Lease,
    LeaseRepository,
    NoticesRepository,
    QualityRepository,
    RelationsRepository,
    Repository,
    SignalRepository,
    SoonEmpty,
    StockRepository,
    TicketRepository,
    TrustRepository,
    UserRepository,
    WorkOrderRepository,
)
from crm_core.storage.accounts.memory import MemoryAccountsRepository
from crm_core.storage.agreements.memory import MemoryAgreementsRepository
from crm_core.storage.billing.memory import MemoryBillingRepository
from crm_core.storage.fieldwork.memory import MemoryFieldworkRepository
from crm_core.storage.forecast_rows import fleet_shares, grouped_forecasts, share_of, subject_of
from crm_core.storage.memory_service import (
    Journal,
    MemoryContracts,
    MemoryDevices,
    MemoryRepository,
    MemorySites,
    MemoryTickets,
    MemoryVersioned,
    MemoryWorkOrders,
    Table,
)
from crm_core.storage.notices.memory import MemoryNoticesRepository
from crm_core.storage.quality.memory import MemoryQualityRepository
from crm_core.storage.relations.memory import MemoryRelationsRepository
from crm_core.storage.stock.memory import MemoryStockRepository
from crm_core.storage.trust.memory import MemoryTrustRepository


class _Signals:
    def __init__(self, journal: Journal) -> None:
        self._keys: Table[bool] = Table(journal)
        self._waiting: Table[Signal] = Table(journal)
        self._tracks: Table[CauseTrack] = Table(journal)
        self._tracks.index("device", lambda each: (each.tenant, each.device_id))
        self._tracks.index("clearing", lambda each: (each.tenant,) if each.clear_since is not None else None)
        self._watermarks: Table[datetime] = Table(journal)

    def append(self, signals: Sequence[Signal]) -> int:
        new = 0
        for signal in signals:
            key = (signal.tenant, signal.device_id, signal.origin, signal.evidence)
            if key in self._keys.rows:
                continue
            self._keys.put(key, True)  # noqa: FBT003 - the table is a set
            number = self._waiting.next_id()
            self._waiting.put((number,), replace(signal, signal_id=SignalId(number)))
            new += 1
        return new

    def pending(self, limit: int) -> Sequence[Signal]:
        return [row for _, row in sorted(self._waiting.rows.items())[:limit]]

    def mark_processed(self, signal_ids: Sequence[SignalId], at: datetime) -> None:  # noqa: ARG002 - the port's signature
        for number in signal_ids:
            self._waiting.drop((number,))

    def tracks(self, tenant: TenantId, device_id: DeviceId) -> Sequence[CauseTrack]:
        return sorted(self._tracks.by("device", (tenant, device_id)), key=_track_key)

    def all_tracks(self, tenant: TenantId) -> Sequence[CauseTrack]:
        return sorted((each for each in self._tracks.rows.values() if each.tenant == tenant), key=_track_key)

    def clearing_tracks(self, tenant: TenantId) -> Sequence[CauseTrack]:
        return sorted(self._tracks.by("clearing", (tenant,)), key=_track_key)

    def save_track(self, track: CauseTrack) -> None:
        self._tracks.put((track.tenant, *_track_key(track)), track)

    def drop_track(self, track: CauseTrack) -> None:
        self._tracks.drop((track.tenant, *_track_key(track)))

    def watermark(self, tenant: TenantId, device_id: DeviceId, origin: SignalOrigin) -> datetime | None:
        return self._watermarks.rows.get((tenant, device_id, origin))

    def set_watermark(
        self, tenant: TenantId, device_id: DeviceId, origin: SignalOrigin, observed_at: datetime
    ) -> None:
        self._watermarks.put((tenant, device_id, origin), observed_at)


def _track_key(track: CauseTrack) -> tuple[str, str, str]:
    return track.device_id, track.cause, track.origin.value


class _Incidents(MemoryVersioned[Incident]):
    def __init__(self, journal: Journal) -> None:
        super().__init__(journal, "incident_id")
        self._table.index("open", lambda each: (each.tenant,) if each.closed_at is None else None)

    def open_unless_covered(self, incident: Incident) -> Incident | None:
        taken = self.find_open(incident.tenant, incident.kind, incident.subject)
        return None if taken is not None else self._insert(incident)

    def find_open(self, tenant: TenantId, kind: IncidentKind, subject: str) -> Incident | None:
        open_ones = self.open_ones(tenant)
        return next((each for each in open_ones if (each.kind, each.subject) == (kind, subject)), None)

    def open_ones(self, tenant: TenantId) -> Sequence[Incident]:
        return self._table.by("open", (tenant,))

    def all(self, tenant: TenantId, limit: int = 100) -> Sequence[Incident]:
        return list(self._newest_first(tenant))[:limit]

    def save(self, incident: Incident) -> Incident:
        return self._replace(incident)


class _Forecasts:
    def __init__(self, journal: Journal) -> None:
        self._rows: Table[Forecast] = Table(journal)
        self._rows.index("device", lambda each: (each.tenant, each.device_id))

    def save_all(self, forecasts: Sequence[Forecast]) -> None:
        for forecast in forecasts:
            kind, subject, _ = subject_of(forecast)
            self._rows.put((forecast.tenant, forecast.device_id, kind, subject), forecast)

    def for_device(self, tenant: TenantId, device_id: DeviceId) -> DeviceForecasts:
        return grouped_forecasts(sorted(self._rows.by("device", (tenant, device_id)), key=subject_key))

    def for_devices(self, tenant: TenantId) -> Mapping[DeviceId, DeviceForecasts]:
        devices = sorted({key[1] for key in self._rows.rows if key[0] == tenant})
        return {device_id: self.for_device(tenant, device_id) for device_id in devices}

    def for_some(
        self, tenant: TenantId, device_ids: Collection[DeviceId]
    ) -> Mapping[DeviceId, DeviceForecasts]:
        found = self.for_devices(tenant)
        return {device_id: found[device_id] for device_id in sorted(device_ids) if device_id in found}

    def empty_within(self, tenant: TenantId, days: float) -> Sequence[SoonEmpty]:
        return [
            SoonEmpty(row.device_id, row.supply_index, row.days_to_empty.p50)
            for row in self.running_out(tenant, days, len(self._rows.rows))
            if row.days_to_empty is not None
        ]

    def shares(self, tenant: TenantId) -> FleetShares:
        rows = [row for key, row in self._rows.rows.items() if key[0] == tenant]
        shares = ((row.device_id, subject_of(row)[0], share_of(row)) for row in rows)
        return fleet_shares((device, kind, share) for device, kind, share in shares if share is not None)

    def running_out(
        self, tenant: TenantId, within_days: float, limit: int = 1000
    ) -> Sequence[SupplyForecast]:
        found = [
            (row.days_to_empty.p50, row.device_id, row.supply_index, row)
            for key, row in self._rows.rows.items()
            if key[0] == tenant and isinstance(row, SupplyForecast) and row.days_to_empty is not None
        ]
        soon = sorted((each for each in found if each[0] <= within_days), key=lambda each: each[:3])
        return [row for *_, row in soon[:limit]]

    def count(self, tenant: TenantId) -> int:
        return sum(key[0] == tenant for key in self._rows.rows)


def subject_key(forecast: Forecast) -> tuple[str, str]:
    """Order forecasts of a device as the database does."""
    return subject_of(forecast)[:2]


class _Users(MemoryRepository[User]):
    def __init__(self, journal: Journal) -> None:
        super().__init__(journal, lambda user: (user.tenant, user.user_id))
        self._tokens: Table[AccessToken] = Table(journal)

    def find_by_name(self, tenant: TenantId, name: str) -> User | None:
        return next((user for user in self.all(tenant) if user.name == name), None)

    def save_token(self, token: AccessToken) -> None:
        self.get(token.tenant, token.user_id)
        self._tokens.put((token.token_hash,), token)

    def tokens(self, tenant: TenantId, purpose: str) -> Sequence[AccessToken]:
        rows = [
            each for each in self._tokens.rows.values() if (each.tenant, each.purpose) == (tenant, purpose)
        ]
        return sorted(rows, key=lambda each: (each.created_at, each.token_hash))

    def find_token(self, token_hash: str) -> AccessToken | None:
        return self._tokens.rows.get((token_hash,))

    def bearer(self, token_hash: str) -> tuple[AccessToken, User] | None:
        token = self.find_token(token_hash)
        return None if token is None else (token, self.get(token.tenant, token.user_id))

    def revoke_token(self, token_hash: str) -> None:
        self._tokens.drop((token_hash,))

    def revoke_tokens_of(self, tenant: TenantId, user_id: str) -> None:
        for key, token in list(self._tokens.rows.items()):
            if (token.tenant, token.user_id) == (tenant, user_id):
                self._tokens.drop(key)

    def _check(self, entity: User) -> None:
        other = self.find_by_name(entity.tenant, entity.name)
        if other is not None and other.user_id != entity.user_id:
            raise Conflict(f"the name {entity.name!r} is taken; choose another one")


class _Leases:
    def __init__(self, journal: Journal) -> None:
        self._rows: Table[Lease] = Table(journal)

    def acquire(self, name: str, holder: str, now: datetime, duration: timedelta) -> Lease | None:
        present = self._rows.rows.get((name,))
        if present is not None and present.holder != holder and present.until > now:
            return None
        fencing = 1 if present is None else present.fencing + (present.holder != holder)
        taken = Lease(name, holder, fencing, now + duration)
        self._rows.put((name,), taken)
        return taken

    def confirm(self, lease: Lease) -> bool:
        present = self._rows.rows.get((lease.name,))
        return present is not None and (present.holder, present.fencing) == (lease.holder, lease.fencing)

    def release(self, lease: Lease) -> None:
        present = self._rows.rows.get((lease.name,))
        if present is not None and (present.holder, present.fencing) == (lease.holder, lease.fencing):
            self._rows.put((lease.name,), replace(present, holder="", until=datetime.min.replace(tzinfo=UTC)))


class _State:
    """All tables, the journal of the open transaction, and the lock that makes it the only one."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.journal: Journal = []
        self.customers: MemoryRepository[Customer] = MemoryRepository(
            self.journal, lambda each: (each.tenant, each.customer_id)
        )
        self.sites = MemorySites(self.journal, self.customers)
        self.contracts = MemoryContracts(self.journal, self.customers)
        self.devices = MemoryDevices(self.journal, self.customers, self.sites, self.contracts)
        self.technicians: MemoryRepository[Technician] = MemoryRepository(
            self.journal, lambda each: (each.tenant, each.technician_id)
        )
        self.changes = Changes()
        self.tickets = MemoryTickets(self.journal, self.sites, self.changes)
        self.work_orders = MemoryWorkOrders(self.journal, self.sites, self.changes)
        self.signals = _Signals(self.journal)
        self.incidents = _Incidents(self.journal)
        self.forecasts = _Forecasts(self.journal)
        self.users = _Users(self.journal)
        self.leases = _Leases(self.journal)
        self.accounts = MemoryAccountsRepository(self.journal)
        self.stock = MemoryStockRepository(self.journal)
        self.notices = MemoryNoticesRepository(self.journal)
        self.fieldwork = MemoryFieldworkRepository(self.journal, self.work_orders)
        self.relations = MemoryRelationsRepository(self.journal)
        self.agreements = MemoryAgreementsRepository(self.journal)
        self.billing = MemoryBillingRepository(self.journal)
        self.trust = MemoryTrustRepository(self.journal)
        self.quality = MemoryQualityRepository(self.journal)
        own = {"lock", "journal", "changes"}
        self.repositories = {name: each for name, each in vars(self).items() if name not in own}


class MemoryUnitOfWork:
    """One transaction over the memory (`ports.UnitOfWork`)."""

    customers: Repository[Customer]
    sites: Repository[Site]
    contracts: Repository[Contract]
    devices: DeviceRepository
    technicians: Repository[Technician]
    tickets: TicketRepository
    work_orders: WorkOrderRepository
    signals: SignalRepository
    incidents: IncidentRepository
    forecasts: ForecastRepository
    users: UserRepository
    leases: LeaseRepository
    accounts: AccountsRepository
    stock: StockRepository
    notices: NoticesRepository
    fieldwork: FieldworkRepository
    relations: RelationsRepository
    agreements: AgreementsRepository
    billing: BillingRepository
    trust: TrustRepository
    quality: QualityRepository

    def __init__(self, state: _State, listeners: Sequence[CommitListener] = ()) -> None:
        self._state = state
        self._listeners = listeners
        vars(self).update(state.repositories)

    def __enter__(self) -> Self:
        self._state.lock.acquire()
        self._state.journal.clear()
        self._state.changes.taken()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for undo in reversed(self._state.journal):
            undo()
        self._state.journal.clear()
        self._state.lock.release()

    def commit(self) -> None:
        """Keep the changes. The block may go on: what follows is a new transaction."""
        changes = self._state.changes.taken()
        for listener in self._listeners:
            listener(self, changes)
        self._state.journal.clear()


class MemoryUnitOfWorkFactory:
    """Gives units of work over one memory (`ports.UnitOfWorkFactory`)."""

    def __init__(self) -> None:
        self._state = _State()
        self._listeners: list[CommitListener] = []

    def __call__(self) -> MemoryUnitOfWork:
        return MemoryUnitOfWork(self._state, self._listeners)

    def on_commit(self, listener: CommitListener) -> None:
        """Let `listener` see what each transaction wrote, just before it becomes durable."""
        self._listeners.append(listener)


def make_memory_uow_factory() -> MemoryUnitOfWorkFactory:
    """Return a factory of units of work over one fresh memory."""
    return MemoryUnitOfWorkFactory()
