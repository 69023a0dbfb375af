"""The centre of every process: clock, knowledge, texts, the CRM database and the services over it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from config.loaders import Knowledge, load_knowledge
from config.locale_files import load_messages
from config.policy_shelf import PolicyShelf, open_shelf
from config.settings import Settings
from config.wiring.telling import announce
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.fault_codes import FaultCodeBook
from crm_core.domain.identity import TenantId
from crm_core.domain.messages import Messages
from crm_core.domain.policy import PolicyBook
from crm_core.domain.policy_in_force import PolicyInForce
from crm_core.domain.telemetry import DeviceReading
from crm_core.notices.hook_secrets import HookSecrets
from crm_core.ports import Clock
from crm_core.registry import Registry
from crm_core.signals import Concluder, Conclusion
from crm_core.stock.visit_parts import VisitParts
from crm_core.storage.sqlalchemy_uow import SqlUnitOfWorkFactory, make_uow_factory, migrate
from crm_core.storage.trust.lock import AesPersonalLock
from crm_core.trust.personal import PersonalData
from crm_core.trust.subjects import DataSubjects


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What all processes share. `policy` is always the version in force by the clock; `shelf` holds all of them."""

    settings: Settings
    clock: Clock
    knowledge: Knowledge
    policy: PolicyBook
    messages: Messages
    uow_factory: SqlUnitOfWorkFactory
    registry: Registry
    personal: PersonalData
    hook_secrets: HookSecrets
    subjects: DataSubjects
    shelf: PolicyShelf

    @property
    def tenant(self) -> TenantId:
        return TenantId(self.settings.general.tenant)

    @property
    def catalogue(self) -> Catalogue:
        return self.knowledge.catalogue

    @property
    def fault_codes(self) -> FaultCodeBook:
        return self.knowledge.fault_codes

    @property
    def conclude(self) -> Callable[[DeviceReading, DeviceReading | None], Conclusion]:
        """The pure step from a reading and its predecessor to events and a signal."""
        return Concluder(self.fault_codes)


def open_core(settings: Settings, clock: Clock) -> Core:
    """Read all knowledge, create or upgrade the CRM database, and return the centre."""
    knowledge = load_knowledge(settings)
    migrate_database(settings)
    uow_factory = make_uow_factory(
        settings.crm_url, clock=clock, wait_for_disk=settings.general.wait_for_disk
    )
    shelf = open_shelf(settings, clock)
    policy = PolicyInForce(shelf.book)
    announce(uow_factory, settings, clock, policy)
    uow_factory.on_commit(VisitParts(clock))
    lock = open_lock(settings)
    personal = PersonalData(lock, policy, clock)
    return Core(
        settings=settings,
        clock=clock,
        knowledge=knowledge,
        policy=policy,
        messages=load_messages(),
        uow_factory=uow_factory,
        registry=Registry(uow_factory, clock, knowledge.catalogue),
        personal=personal,
        hook_secrets=HookSecrets(lock),
        shelf=shelf,
        subjects=DataSubjects(uow_factory, personal, clock),
    )


def open_lock(settings: Settings) -> AesPersonalLock:
    """Return the lock of personal fields; its keys come from the settings or from the key file in the data folder."""
    told = [key.strip() for key in settings.crm.personal_keys.split(",") if key.strip()]
    if told:
        return AesPersonalLock(told)
    prepare_folder(settings.general.folder)
    return AesPersonalLock(settings.personal_key_file)


def migrate_database(settings: Settings) -> str:
    """Create the CRM database or bring it up to date; return the kind of database."""
    prepare_folder(settings.general.folder)
    migrate(settings.crm_url)
    return settings.crm_url.partition(":")[0].partition("+")[0]


def prepare_folder(folder: Path) -> None:
    """Create the data folder, readable by its owner alone."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InvalidConfiguration(f"general.data_dir {folder}: {error.strerror or error}") from error
