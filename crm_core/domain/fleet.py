"""Customers, their sites and contracts, and the devices that stand there.

A device keeps its history for ever; where it stood and whom it served is an `InstalledPeriod`, so that a swap
never moves readings from one customer to another.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from crm_core.domain.customer_files import CompanyFile, Consent, CustomerSource, PersonFile
from crm_core.domain.identity import ContractId, CustomerId, DeviceId, ModelId, SiteId, TenantId
from crm_core.domain.money import Money


class CustomerKind(StrEnum):
    """Persons and companies have different files (requirement 54)."""

    PERSON = "person"
    COMPANY = "company"


class CustomerTier(StrEnum):
    """Relationship tier, which sets the first-response promise (requirements 40-43, 47)."""

    CORE = "core"
    IMPORTANT = "important"
    ORDINARY = "ordinary"
    POTENTIAL = "potential"


class OwnerState(StrEnum):
    """Where a device is in the rental firm's stock book."""

    STOCK = "stock"
    INSTALLED = "installed"
    LOAN = "loan"
    REPAIR = "repair"
    RETIRED = "retired"
    LOST = "lost"


class Transport(StrEnum):
    """How readings of the device reach Drumbeat."""

    SNMP = "snmp"  # Drumbeat polls it
    MQTT = "mqtt"  # an agent or gateway pushes readings


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """One customer of the rental firm. Persons and companies have files of their own (requirement 54).

    `tier` is the class of the axis `tier`, kept here for the clocks; `owner` is the user name of the responsible person.
    `person` and `company` go with the kind; `version` rises with each change.
    """

    tenant: TenantId
    customer_id: CustomerId
    name: str
    kind: CustomerKind = CustomerKind.COMPANY
    tier: CustomerTier = CustomerTier.ORDINARY
    industry: str | None = None
    contact_name: str | None = None
    phone: str | None = None
    email: str | None = None
    language: str = "zh-CN"
    source: CustomerSource | None = None
    owner: str | None = None
    consents: tuple[Consent, ...] = ()
    company: CompanyFile | None = None
    person: PersonFile | None = None
    price_sensitivity: str | None = None  # low, mid, high, as sales judge it
    referred_by: CustomerId | None = None
    registered_on: date | None = None
    review_due_on: date | None = None  # when the file is to be looked over again (109)
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One place of a customer: one power and network domain. Coordinates in degrees (WGS 84)."""

    tenant: TenantId
    site_id: SiteId
    customer_id: CustomerId
    name: str
    address: str = ""
    region: str = "default"
    latitude: float | None = None
    longitude: float | None = None
    time_zone: str = "Asia/Shanghai"
    access_notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTerms:
    """What one contract promises beyond policy; of both the stricter counts (reference 1.3).

    `restore_hours` is by level ("L1", "L2", "L3"), on the wall clock unless `business_hours`; `calendar` names the
    opening times that its business time counts over (a file of `config/policy/calendars`).
    """

    respond_minutes: int | None = None
    restore_hours: dict[str, float] = field(default_factory=dict)
    business_hours: bool = False
    calendar: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The terms under which devices of a customer are rented; the full terms come with billing."""

    tenant: TenantId
    contract_id: ContractId
    customer_id: CustomerId
    starts_on: date
    ends_on: date
    monthly_rent: Money
    on_site_hours: int | None = None  # promised arrival, 2 or 24; None = by level alone (requirement 9)
    service_terms: ServiceTerms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnmpAddress:
    """Where and how to poll a device. `credential` names an entry of the encrypted credential table, not a secret."""

    host: str
    port: int = 161
    version: str = "2c"  # 1, 2c or 3
    credential: str = "default"
    context: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One copier. `model_id` is of the catalogue; `model_name` is what the device says."""

    tenant: TenantId
    device_id: DeviceId
    site_id: SiteId | None = None
    customer_id: CustomerId | None = None
    contract_id: ContractId | None = None
    model_id: ModelId | None = None
    vendor: str | None = None
    model_name: str | None = None
    serial: str | None = None
    asset_tag: str | None = None
    owner_state: OwnerState = OwnerState.INSTALLED
    transport: Transport = Transport.SNMP
    snmp: SnmpAddress | None = None
    installed_on: date | None = None
    registered_at: datetime | None = None

    @property
    def can_be_heard(self) -> bool:
        """Whether the device should report: it speaks by itself, or has an address to be polled at."""
        return self.transport is not Transport.SNMP or self.snmp is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPeriod:
    """A device's stay at a site, with the life counts at both ends; periods of one device never overlap."""

    tenant: TenantId
    device_id: DeviceId
    site_id: SiteId
    customer_id: CustomerId
    contract_id: ContractId | None
    from_instant: datetime
    to_instant: datetime | None = None
    start_count: int | None = None
    end_count: int | None = None

    def covers(self, at: datetime) -> bool:
        """Return True if the device stood there at that instant."""
        return self.from_instant <= at and (self.to_instant is None or at < self.to_instant)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBundle:
    """A device with its place and people, as one query answers it."""

    device: Device
    site: Site | None = None
    customer: Customer | None = None
    contract: Contract | None = None
    tags: dict[str, str] = field(default_factory=dict)
