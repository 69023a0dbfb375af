"""The CRM database: one transaction is one unit of work, on SQLite or PostgreSQL by URL.

SQLite runs with a write-ahead log, foreign keys and BEGIN IMMEDIATE, so that a transaction that will write never
fails half-way for another writer; a busy database is waited for. A reader that only reads may ask for
`read_only=True`: it then sees a snapshot and never waits for writers.
"""

import sqlite3
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from crm_core.domain.errors import InvalidConfiguration, StoreUnavailable
from crm_core.domain.fleet import Contract, Customer, Site
from crm_core.domain.service import Technician
from crm_core.ports import (
    AccountsRepository,
    AgreementsRepository,
    BillingRepository,
    Changes,
    Clock,
    CommitListener,
    DeviceRepository,
    FieldworkRepository,
    ForecastRepository,
    IncidentRepository,
    LeaseRepository,
    NoticesRepository,
    QualityRepository,
    RelationsRepository,
    Repository,
    SignalRepository,
    StockRepository,
    TicketRepository,
    TrustRepository,
    UserRepository,
    WorkOrderRepository,
)
from crm_core.storage import schema
from crm_core.storage.accounts.people import SqlUserRepository
from crm_core.storage.accounts.sql import SqlAccountsRepository
from crm_core.storage.agreements.sql import SqlAgreementsRepository
from crm_core.storage.billing.sql import SqlBillingRepository
from crm_core.storage.fieldwork.sql import SqlFieldworkRepository
from crm_core.storage.inbox import (
    SqlForecastRepository,
    SqlLeaseRepository,
    SqlSignalRepository,
)
from crm_core.storage.notices.sql import SqlNoticesRepository
from crm_core.storage.quality.sql import SqlQualityRepository
from crm_core.storage.relations.sql import SqlRelationsRepository
from crm_core.storage.repositories import (
    SqlDeviceRepository,
    SqlIncidentRepository,
    SqlTicketRepository,
    SqlWorkOrderRepository,
)
from crm_core.storage.stock.sql import SqlStockRepository
from crm_core.storage.tables import TableRepository
from crm_core.storage.trust.sql import SqlTrustRepository
from crm_core.storage.trust.trail import AuditTrail, install_triggers, watch

BUSY_TIMEOUT_SECONDS: Final = 30.0
#: A process that stands still within a transaction (stopped, swapped out, its network gone) keeps its locks so long on
#: PostgreSQL; then the server ends the session, keeps nothing of it, and the others go on.
STANDSTILL_SECONDS: Final = 10
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


class SqlUnitOfWork:
    """One transaction (`ports.UnitOfWork`); leaving the block without `commit` rolls back."""

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

    def __init__(
        self,
        engine: Engine,
        clock: Clock | None = None,
        *,
        audited: bool = True,
        listeners: Sequence[CommitListener] = (),
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._audited = audited
        self._listeners = listeners
        self.changes = Changes()
        self._connection: Connection | None = None
        self.trail: AuditTrail | None = None

    def __enter__(self) -> Self:
        try:
            connection = self._engine.connect()
            connection.begin()
        except OperationalError as error:
            raise StoreUnavailable(f"the CRM database does not answer now: {error.orig}") from error
        self._connection = connection
        self.trail = AuditTrail(connection, self._clock) if self._audited else None
        for name in _REPOSITORIES.keys() & self.__dict__.keys():
            del self.__dict__[name]  # of an earlier block
        return self

    def __getattr__(self, name: str) -> Any:
        """Make a repository when it is first asked for: most transactions touch a few of the twenty."""
        maker = _REPOSITORIES.get(name)
        if maker is None:
            raise AttributeError(name)
        connection = self._connection
        if connection is None:
            raise RuntimeError(f"{name} belongs inside the with-block of the unit of work")
        made = self.__dict__[name] = maker(self, connection)
        return made

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()  # rolls back what was not committed
        if isinstance(error, OperationalError) or (
            isinstance(error, DBAPIError) and error.connection_invalidated
        ):
            raise StoreUnavailable(f"the CRM database ended the transaction: {error.orig}") from error

    def commit(self) -> None:
        """Make the changes durable. The block may go on: what follows is a new transaction."""
        connection = self._connection
        if connection is None:
            raise RuntimeError("commit belongs inside the with-block of the unit of work")
        changes = self.changes.taken()
        for listener in self._listeners:
            listener(self, changes)
        if self.trail is not None:
            self.trail.settle()
        connection.commit()
        connection.begin()


#: How each repository of a unit of work is made.
_REPOSITORIES: Final[dict[str, Callable[[SqlUnitOfWork, Connection], object]]] = {
    "customers": lambda _uow, it: TableRepository(it, schema.customers, Customer, "customer_id"),
    "sites": lambda _uow, it: TableRepository(it, schema.sites, Site, "site_id"),
    "contracts": lambda _uow, it: TableRepository(it, schema.contracts, Contract, "contract_id"),
    "devices": lambda _uow, it: SqlDeviceRepository(it),
    "technicians": lambda _uow, it: TableRepository(it, schema.technicians, Technician, "technician_id"),
    "tickets": lambda uow, it: SqlTicketRepository(it, uow.changes),
    "work_orders": lambda uow, it: SqlWorkOrderRepository(it, uow.changes),
    "signals": lambda _uow, it: SqlSignalRepository(it),
    "incidents": lambda _uow, it: SqlIncidentRepository(it),
    "forecasts": lambda _uow, it: SqlForecastRepository(it),
    "users": lambda _uow, it: SqlUserRepository(it),
    "leases": lambda _uow, it: SqlLeaseRepository(it),
    "accounts": lambda _uow, it: SqlAccountsRepository(it),
    "stock": lambda _uow, it: SqlStockRepository(it),
    "notices": lambda _uow, it: SqlNoticesRepository(it),
    "fieldwork": lambda _uow, it: SqlFieldworkRepository(it),
    "relations": lambda _uow, it: SqlRelationsRepository(it),
    "agreements": lambda _uow, it: SqlAgreementsRepository(it),
    "billing": lambda _uow, it: SqlBillingRepository(it),
    "trust": lambda uow, it: SqlTrustRepository(it, uow.trail),
    "quality": lambda _uow, it: SqlQualityRepository(it),
}


def make_engine(url: str, *, read_only: bool = False, wait_for_disk: bool = True) -> Engine:
    """Return an engine for `sqlite:///path` or `postgresql+psycopg://...`; nothing is opened yet."""
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            if parsed.database in (None, "", ":memory:"):
                raise InvalidConfiguration("a CRM database in memory would be lost: name a file in crm.url")
            engine = create_engine(
                parsed, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}, json_deserializer=msgspec.json.decode
            )
            _prepare_sqlite(engine, read_only=read_only, wait_for_disk=wait_for_disk)
        case "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
            engine = create_engine(
                parsed,
                pool_pre_ping=True,
                connect_args={"options": _postgres_options(parsed, read_only=read_only)},
                json_deserializer=msgspec.json.decode,
            )
        case other:
            raise InvalidConfiguration(f"crm.url names {other!r}; use sqlite:///file or postgresql://...")
    return engine


def _postgres_options(url: URL, *, read_only: bool) -> str:
    """Return what a session asks of the server; what the URL itself says comes last and wins."""
    milliseconds = STANDSTILL_SECONDS * 1000
    standing_still = (
        f"idle_in_transaction_session_timeout={milliseconds}",  # it holds locks and says nothing
        f"tcp_user_timeout={milliseconds}",  # it does not take its answer
        f"tcp_keepalives_idle={STANDSTILL_SECONDS}",  # its machine is gone
        "tcp_keepalives_interval=2",
        "tcp_keepalives_count=3",
    )
    asked = ("default_transaction_read_only=on",) if read_only else standing_still
    told = url.query.get("options", ())
    return " ".join([*(f"-c {each}" for each in asked), *((told,) if isinstance(told, str) else told)])


def _prepare_sqlite(engine: Engine, *, read_only: bool, wait_for_disk: bool) -> None:
    synchronous = "FULL" if wait_for_disk else "NORMAL"

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver's guess
        pragmas = ["journal_mode = WAL", "foreign_keys = ON", f"synchronous = {synchronous}"]
        if read_only:
            pragmas.append("query_only = ON")
        try:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:  # a broken file: the pool would drop the connection, open
            connection.close()
            raise

    if read_only:  # a listener to the pool costs a reader nothing; one to the engine, a fifth of each request

        @event.listens_for(engine, "checkout")
        def begin_to_read(connection: sqlite3.Connection, _record: Any, _proxy: Any) -> None:
            connection.execute("BEGIN")

    else:

        @event.listens_for(engine, "begin")
        def begin_to_write(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")


class SqlUnitOfWorkFactory:
    """Gives units of work over one database (`ports.UnitOfWorkFactory`); `close` ends its pooled connections.

    So does its own end: nobody holds it any more.
    """

    def __init__(self, engine: Engine, clock: Clock | None = None, *, audited: bool = True) -> None:
        self._engine = engine
        self._clock = clock
        self._audited = audited
        self._listeners: list[CommitListener] = []
        weakref.finalize(self, engine.dispose)  # for who forgets `close`

    def __call__(self) -> SqlUnitOfWork:
        return SqlUnitOfWork(
            self._engine, self._clock, audited=self._audited, listeners=tuple(self._listeners)
        )

    def on_commit(self, listener: CommitListener) -> None:
        """Let `listener` see what each transaction wrote, just before it becomes durable."""
        self._listeners.append(listener)

    def close(self) -> None:
        """End the pooled connections; the factory may be used again and then opens new ones."""
        self._engine.dispose()


def make_uow_factory(
    url: str, *, read_only: bool = False, clock: Clock | None = None, wait_for_disk: bool = True
) -> SqlUnitOfWorkFactory:
    """Return a factory of units of work over the database at `url`; call `migrate` once before its first use.

    What is written goes into the audit chain with the time of `clock`, or of the database without one. Without
    `wait_for_disk` a commit to SQLite outlives this process, but perhaps no power cut.
    """
    engine = make_engine(url, read_only=read_only, wait_for_disk=wait_for_disk)
    if not read_only:
        watch(engine)
    return SqlUnitOfWorkFactory(engine, clock, audited=not read_only)


def migrate(url: str) -> None:
    """Bring the database at `url` to the newest schema; safe to run at each start and from several processes."""
    database = make_url(url).database
    if make_url(url).get_backend_name() == "sqlite" and database:
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    engine = make_engine(url)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7236105)")  # one migration at a time
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            install_triggers(connection)
    except OperationalError as error:
        raise StoreUnavailable(f"the CRM database does not answer now: {error.orig}") from error
    finally:
        engine.dispose()
