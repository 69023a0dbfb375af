"""A small real world for tests of the HTTP side: three customers in two regions, seven printers, two technicians.

Readings go through the rules into the real stores, tickets come from triage, work orders from dispatching; only the
forecasts are written down by hand, so that tests can name their figures.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from analytics.policy_replay.service import PolicyReplay, check_request
from api.access import issue_token
from api.app import create_app
from api.recurring_jobs import JobInfo
from api.services import ApiServices, ApiSettings, RateLimits
from collector.dead_letters import DeadLetter, SqliteDeadLetters
from collector.ingest import Ingest
from collector.replay import Replayer
from collector.stores.sqlite import SqliteTelemetryStore
from config.catalogue_files import load_catalogue
from config.clock import VirtualClock
from config.exchange_files import load_mappings
from config.fault_code_files import load_fault_codes
from config.locale_files import load_messages
from config.policy_files import POLICY, load_policies, policy_on
from config.policy_shelf import PolicyShelf
from config.replay_desk import ReplayDesk
from config.wiring.customers import build_customers
from config.wiring.dead_letters import DeadLetterDesk
from crm_core.agreements.contract_desk import ContractDesk
from crm_core.billing.services import build_money
from crm_core.day_planning import DayPlanner
from crm_core.dispatching import Dispatcher
from crm_core.domain.accounts import SignInAlarm
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.errors import NotFound
from crm_core.domain.fault_codes import FaultCodeBook
from crm_core.domain.fieldwork import MaintenancePlan
from crm_core.domain.fleet import Device
from crm_core.domain.forecast import Forecast
from crm_core.domain.identity import (
    DEFAULT_TENANT,
    CustomerId,
    DeviceId,
    SiteId,
    TenantId,
)
from crm_core.domain.notices import Channel, Notice, NoticeState, ReceiverKind, Webhook
from crm_core.domain.service import Incident, IncidentKind
from crm_core.exchange.desk import ExchangeDesk
from crm_core.exchange.importing import Importer
from crm_core.fieldwork.services import build_fieldwork
from crm_core.fleet_health import FleetHealth
from crm_core.notices.hook_secrets import HookSecrets
from crm_core.ports import Landing
from crm_core.registry import Registry
from crm_core.relations.customers import CustomerDesk
from crm_core.servicedesk import ServiceDesk
from crm_core.signals import conclude
from crm_core.stock.services import build_stock
from crm_core.storage.attachment_files import FileAttachmentStore
from crm_core.storage.sqlalchemy_uow import make_uow_factory, migrate
from crm_core.storage.trust.lock import AesPersonalLock
from crm_core.triage import Triage
from crm_core.trust.chain import verify_chain
from crm_core.trust.personal import PersonalData
from crm_core.trust.subjects import DataSubjects
from tests.integration.api.care import seed_care
from tests.integration.api.foresight import seed_findings
from tests.integration.api.money import seed_money
from tests.integration.api.roster import seed_roster
from tests.integration.api.stock import seed_stock
from tests.integration.api.telemetry import (
    NOW,
    OTHER_TENANT,
    ROSTER,
    forecasts_of,
    reading_of,
)
from tests.integration.api.world_rows import customers_rows, devices_rows, people_rows


@dataclass(frozen=True)
class Knowledge:
    """The files of knowledge, read once."""

    catalogue: Catalogue
    fault_codes: FaultCodeBook


KNOWLEDGE = Knowledge(load_catalogue(), load_fault_codes())


class FakeJobs:
    """Two jobs that count their runs: the supervisor itself is tested where it lives."""

    def __init__(self) -> None:
        self.rows = {name: JobInfo(name=name, schedule="every 60 s") for name in ("forecasts", "poll.a")}

    def list(self) -> list[JobInfo]:
        return list(self.rows.values())

    def run(self, name: str) -> JobInfo:
        if name not in self.rows:
            raise NotFound(f"no job {name}")
        self.rows[name] = replace(self.rows[name], runs=self.rows[name].runs + 1, running=True)
        return self.rows[name]


@dataclass(frozen=True)
class World:
    """Everything a test may look at."""

    services: ApiServices
    clock: VirtualClock
    store: SqliteTelemetryStore
    close: Callable[[], None]

    @cached_property
    def _app(self) -> FastAPI:
        return create_app(self.services)

    def app(self) -> FastAPI:
        return self._app

    def token(
        self, user_id: str, *scopes: str, tenant: TenantId = DEFAULT_TENANT, purpose: str = "api"
    ) -> str:
        """Return a new token of a user, with all scopes unless told."""
        with self.services.uow_factory() as uow:
            user = uow.users.get(tenant, user_id)
            token = issue_token(
                uow,
                user,
                purpose=purpose,
                now=self.clock.now(),
                expires_at=self.clock.now() + timedelta(days=1),
                scopes=scopes or ("read", "write"),
            )
            uow.commit()
        return token


def open_world(folder: Path, settings: ApiSettings | None = None) -> World:
    """Open the world in `folder`; its databases must exist already (see `build_world`)."""
    clock = VirtualClock(NOW)
    uow_factory = make_uow_factory(f"sqlite:///{folder / 'crm.db'}")
    readers = make_uow_factory(f"sqlite:///{folder / 'crm.db'}", read_only=True)
    store = SqliteTelemetryStore(folder / "telemetry.db", clock)
    knowledge = KNOWLEDGE
    policy = policy_on(load_policies(), NOW.date()).book
    lock = AesPersonalLock(folder / "personal.key")
    shelf = PolicyShelf(POLICY, folder / "policy", clock, "Asia/Shanghai")
    personal = PersonalData(lock, policy, clock)
    box = SqliteDeadLetters(store)
    ingest = Ingest(store, lambda now, before: conclude(now, before, knowledge.fault_codes), box, clock)
    files = FileAttachmentStore(folder / "attachments")
    fieldwork = build_fieldwork(uow_factory, clock, policy, store, files)
    services = ApiServices(
        uow_factory=uow_factory,
        read_uow_factory=readers,
        store=store,
        fleet_health=FleetHealth(readers, store, policy, clock),
        fieldwork=fieldwork,
        servicedesk=ServiceDesk(uow_factory, clock, policy, store, fieldwork.closing),
        planner=DayPlanner(uow_factory, clock, policy),
        dispatcher=Dispatcher(uow_factory, clock, policy, knowledge.catalogue, knowledge.fault_codes),
        registry=Registry(uow_factory, clock, knowledge.catalogue),
        stock=build_stock(uow_factory, clock, store, policy, knowledge.catalogue, knowledge.fault_codes),
        jobs=FakeJobs(),
        dead_letters=DeadLetterDesk(box, Replayer(box, ingest, store, clock)),
        personal=personal,
        hook_secrets=HookSecrets(lock),
        customers=build_customers(uow_factory, clock, policy, knowledge.catalogue, store),
        money=build_money(uow_factory, readers, store, clock, policy, files),
        policies=shelf,
        exchange=ExchangeDesk(
            Importer(
                uow_factory,
                personal,
                knowledge.catalogue,
                clock,
                lambda readings: store.append([Landing(reading=each) for each in readings]).stored,
                lambda: (Decimal("0.1"), Decimal("0.5")),
                CustomerDesk(uow_factory, clock, policy),
                ContractDesk(uow_factory, clock, policy),
            ),
            load_mappings(),
            readers,
        ),
        replays=ReplayDesk(
            PolicyReplay(store, readers, knowledge.catalogue, shelf, clock), shelf, check_request
        ),
        subjects=DataSubjects(uow_factory, personal, clock),
        verify_audit=lambda tenant: verify_chain(uow_factory, tenant, [], lock),
        messages=load_messages(),
        catalogue=knowledge.catalogue,
        policy=policy,
        clock=clock,
        metrics=CollectorRegistry(),
        version="0.0-test",
        settings=settings or ApiSettings(rate_limits=RateLimits(per_caller=0, per_address=0)),
        readiness={"crm": lambda: None},
    )

    def close() -> None:
        store.close()
        uow_factory.close()
        readers.close()

    return World(services=services, clock=clock, store=store, close=close)


def copy_world(template: Path, folder: Path) -> Path:
    """Return a private copy of a built world."""
    shutil.copytree(template, folder, dirs_exist_ok=True)
    return folder


def build_world(folder: Path) -> None:
    """Create the databases of the world in `folder`."""
    migrate(f"sqlite:///{folder / 'crm.db'}")
    world = open_world(folder)
    customers_rows(world.services.registry, DEFAULT_TENANT)
    devices_rows(world.services.registry, DEFAULT_TENANT, ROSTER)
    customers_rows(world.services.registry, OTHER_TENANT)
    devices_rows(
        world.services.registry, OTHER_TENANT, (("rival-01", "hq", "Canon iR-ADV C3525i", (9,), ()),)
    )
    people_rows(world)
    _notices(world)
    _history(world)
    _save_forecasts(world, forecasts_of())
    _refused(world)
    seed_stock(world.services.uow_factory)
    seed_roster(world.services.uow_factory)
    seed_findings(world.services.uow_factory)
    knowledge = KNOWLEDGE
    services = world.services
    triage = Triage(
        services.uow_factory, world.clock, services.policy, knowledge.fault_codes, knowledge.catalogue
    )
    triage.run_all()
    triage.consider_forecasts(DEFAULT_TENANT)
    services.dispatcher.dispatch(DEFAULT_TENANT)
    services.dispatcher.dispatch(OTHER_TENANT)
    seed_money(services.money, services.uow_factory, world.clock)
    seed_care(services.customers, services.uow_factory)
    world.close()


def _refused(world: World) -> None:
    """Keep a refused message and an alarm, so that their lists are not empty."""
    SqliteDeadLetters(world.store).add(
        [
            DeadLetter(
                at=NOW, origin="drumbeat/v1/default/hq/c3525-01/reading", reason="no JSON", body=b"\xff{"
            )
        ]
    )
    with world.services.uow_factory() as uow:
        uow.accounts.add_alarm(
            SignInAlarm(
                tenant=DEFAULT_TENANT, alarm_id=0, kind="account", subject="manager", address="10.0.0.9",
                failures=10, raised_at=NOW, locked_until=NOW + timedelta(minutes=15),
            )
        )  # fmt: skip
        for tenant in (DEFAULT_TENANT, OTHER_TENANT):
            over = Incident(
                tenant=tenant, incident_id=0, kind=IncidentKind.SITE, subject="studio", opened_at=NOW - timedelta(days=2),
                device_ids=(DeviceId("m126-02"),), closed_at=NOW - timedelta(days=1), settled_at=NOW - timedelta(days=1),
            )  # fmt: skip
            uow.incidents.open_unless_covered(over)
        uow.commit()


def _notices(world: World) -> None:
    """Leave a dead message and a subscription in each tenant."""
    with world.services.uow_factory() as uow:
        for tenant in (DEFAULT_TENANT, OTHER_TENANT):
            notice = Notice(
                tenant=tenant, unique_key="made", channel=Channel.MAIL, receiver_kind=ReceiverKind.CUSTOMER,
                receiver_id="cust-1", address="a@example.org", topic="ticket.new", subject="ticket:1",
                text_key="notices.test", created_at=NOW, due_at=NOW, state=NoticeState.DEAD,
            )  # fmt: skip
            uow.notices.add([notice])
            device = "c3525-01" if tenant == DEFAULT_TENANT else "rival-01"
            uow.fieldwork.plans.add(
                MaintenancePlan(
                    tenant=tenant, device_id=DeviceId(device), every_pages=None, every_days=90,
                    last_at=NOW - timedelta(days=45), last_count=None,
                )
            )  # fmt: skip
            uow.notices.save_webhook(
                Webhook(
                    tenant=tenant, url="https://example.org/h", secret="s", events=("*",), created_at=NOW, created_by="x"
                )
            )  # fmt: skip
        uow.commit()


def _history(world: World) -> None:
    """Ten days of readings, two a day; the error bits of the roster are on in the last three."""
    knowledge = KNOWLEDGE
    signals = []
    landings = []
    rows = [(DEFAULT_TENANT, *row) for row in ROSTER] + [
        (OTHER_TENANT, "rival-01", "hq", "", (9,), ("lowToner",))
    ]
    for tenant, device_id, _, _, levels, errors in rows:
        previous = None
        for step in range(20):
            at = NOW - timedelta(hours=12 * (19 - step), minutes=5)
            shown = tuple(level if level < 0 else min(level + 19 - step, 100) for level in levels)
            reading = reading_of(
                device_id, at, shown, errors if step > 16 else (), 20_000 + 150 * step, tenant
            )
            conclusion = conclude(reading, previous, knowledge.fault_codes)
            found = (conclusion.signal,) if conclusion.signal else ()
            landings.append(Landing(reading=reading, events=conclusion.events, signals=found))
            signals.extend(found)
            previous = reading
    world.store.append(landings)
    with world.services.uow_factory() as uow:
        uow.signals.append(signals)
        uow.commit()


def _save_forecasts(world: World, forecasts: list[Forecast]) -> None:
    with world.services.uow_factory() as uow:
        uow.forecasts.save_all(forecasts)
        uow.commit()


def many_devices(world: World, count: int) -> None:
    """Add devices with all four toners running out soon, each with a ticket: the busiest page there can be."""
    roster = tuple(
        (f"extra-{n:03d}", "studio", "Canon iR-ADV C3525i", (5, 6, 7, 8), ()) for n in range(count)
    )
    registry = world.services.registry
    registry.register_all(
        [
            Device(
                tenant=DEFAULT_TENANT,
                device_id=DeviceId(row[0]),
                site_id=SiteId("studio"),
                customer_id=CustomerId("cust-3"),
                vendor="Canon",
                model_name=row[2],
                serial=f"EX{number:05d}",
            )
            for number, row in enumerate(roster)
        ]
    )
    at = NOW - timedelta(minutes=7)
    world.store.append([Landing(reading=reading_of(row[0], at, row[3], (), 100)) for row in roster])
    _save_forecasts(world, forecasts_of(roster))
    triage = Triage(
        world.services.uow_factory,
        world.clock,
        world.services.policy,
        KNOWLEDGE.fault_codes,
        KNOWLEDGE.catalogue,
    )
    triage.consider_forecasts(DEFAULT_TENANT)
    world.services.dispatcher.dispatch(DEFAULT_TENANT)
