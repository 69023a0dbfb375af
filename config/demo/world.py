"""The rental firm of the demonstration: customers, sites, contracts, people and the roster of simulated printers.

Everything invented stands in `world.toml`; the seed only decides which models stand where.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from crm_core.domain.catalogue import Catalogue
from crm_core.domain.fleet import (
    Contract,
    Customer,
    CustomerTier,
    Device,
    InstalledPeriod,
    OwnerState,
    Site,
    SnmpAddress,
    Transport,
)
from crm_core.domain.identity import (
    ContractId,
    CustomerId,
    DeviceId,
    ModelId,
    SiteId,
    TechnicianId,
    TenantId,
    UserId,
)
from crm_core.domain.money import Money
from crm_core.domain.service import Role, Technician, User
from simulators.device.device import SimulatedDevice, devices_of
from simulators.device.fleet import Fleet
from simulators.device.roster import DeviceSpec, Roster, SiteSpec

WORLD: Final = Path(__file__).with_name("world.toml")
OFFICE: Final = (  # names of the office as people sign in
    ("admin", Role.ADMIN),
    ("manager", Role.MANAGER),
    ("supervisor", Role.SUPERVISOR),
    ("dispatcher", Role.DISPATCHER),
    ("specialist", Role.SPECIALIST),
)
CUSTOMER: Final = "customer"
NEAR_END_EVERY: Final = 12  # each twelfth machine starts close to 80 % of its design life
NEAR_END_SHARE: Final = 0.77
FIRST_ADDRESS: Final = "127.44.0.1"  # the simulated printers answer on loopback addresses from here on
AGE_DAYS: Final = 700  # contracts began about two years before the history ends


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Technician(_Row):
    id: str
    name: str
    regions: list[str]
    skills: list[str]
    phone: str


class _Site(_Row):
    id: str
    name: str
    region: str
    address: str
    latitude: float
    longitude: float
    profile: Literal["office", "retail", "school", "round_the_clock"]


class _Customer(_Row):
    id: str
    name: str
    tier: CustomerTier
    industry: str
    contact: str
    phone: str
    rent: Decimal
    on_site_hours: int
    weight: Annotated[int, Field(ge=1)]
    models: Annotated[list[str], Field(min_length=1)]
    sites: Annotated[list[_Site], Field(min_length=1)]


class _World(_Row):
    technicians: Annotated[list[_Technician], Field(min_length=1)]
    customers: Annotated[list[_Customer], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A person of the demonstration and how they sign in."""

    name: str
    role: Role
    password: str
    technician_id: str | None = None
    regions: tuple[str, ...] = ()
    customer_id: CustomerId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All rows of the firm, and the roster from which the printers are simulated. Devices keep the roster's order."""

    customers: tuple[Customer, ...]
    sites: tuple[Site, ...]
    contracts: tuple[Contract, ...]
    technicians: tuple[Technician, ...]
    devices: tuple[Device, ...]
    periods: tuple[InstalledPeriod, ...]
    roster: Roster

    def with_serials(self, serials: Sequence[str]) -> "World":
        """Return the world with the serial numbers that the simulated printers have."""
        named = tuple(
            replace(device, serial=serial) for device, serial in zip(self.devices, serials, strict=True)
        )
        return replace(self, devices=named)


@dataclass(frozen=True, slots=True)
class Staged:
    """What is needed to simulate the fleet of a demonstration, in this process or in another one."""

    roster: Roster
    seed: int
    start: date
    journal: Path

    def devices(self) -> tuple[SimulatedDevice, ...]:
        """Return the printers as they are on the first day; the journal is not yet repeated."""
        return devices_of(Fleet(self.roster, seed=self.seed, start=self.start, keep_days=3))


def build_world(
    *,
    tenant: TenantId,
    seed: int,
    devices: int,
    start: datetime,
    until: datetime,
    catalogue: Catalogue,
    holidays: frozenset[date],
) -> World:
    """Return a firm with `devices` printers (at least one) spread over its customers by weight."""
    told = _World.model_validate(tomllib.loads(WORLD.read_text(encoding="utf-8")))
    counts = _spread(devices, [customer.weight for customer in told.customers])
    rng = np.random.default_rng([seed, 53])
    specs: list[DeviceSpec] = []
    rows: list[Device] = []
    for customer, count in zip(told.customers, counts, strict=True):
        for number in range(count):
            spec = _spec(customer, number, len(specs), rng)
            specs.append(spec)
            rows.append(_device(tenant, customer, spec, len(rows), catalogue, start))
    sites = [(customer, site) for customer in told.customers for site in customer.sites]
    roster = Roster(
        sites=tuple(SiteSpec(site_id=site.id, profile=site.profile) for _, site in sites),
        devices=tuple(specs),
        holidays=holidays,
    )
    return World(
        customers=tuple(_customer(tenant, customer) for customer in told.customers),
        sites=tuple(_site(tenant, customer, site) for customer, site in sites),
        contracts=tuple(_contract(tenant, customer, until.date()) for customer in told.customers),
        technicians=tuple(_technician(tenant, person) for person in told.technicians),
        devices=tuple(rows),
        periods=tuple(_period(device, start) for device in rows),
        roster=roster,
    )


def sign_ins(
    technicians: Sequence[Technician], passwords: Mapping[str, str], customer_id: CustomerId
) -> tuple[SignIn, ...]:
    """Return who may sign in at the demonstration, one of each role at least; `passwords` by name."""
    people = [
        SignIn(name=name, role=role, password=passwords[name]) for name, role in OFFICE if name in passwords
    ]
    if CUSTOMER in passwords:  # a folder of before there were customers' accounts has none
        people.append(
            SignIn(name=CUSTOMER, role=Role.CUSTOMER, password=passwords[CUSTOMER], customer_id=customer_id)
        )
    for person in technicians:
        name = person.technician_id.removeprefix("tech-")
        people.append(
            SignIn(
                name=name,
                role=Role.TECHNICIAN,
                password=passwords[name],
                technician_id=person.technician_id,
                regions=person.regions,
            )
        )
    return tuple(people)


def user_names(technicians: Sequence[Technician]) -> tuple[str, ...]:
    """Return the names under which people of the demonstration sign in."""
    office = (name for name, _ in OFFICE)
    return (*office, CUSTOMER, *(t.technician_id.removeprefix("tech-") for t in technicians))


def user_of(tenant: TenantId, person: SignIn, password_hash: str) -> User:
    """Return the account of a person."""
    return User(
        tenant=tenant,
        user_id=UserId(f"u-{person.name}"),
        name=person.name,
        role=person.role,
        password_hash=password_hash,
        technician_id=None if person.technician_id is None else TechnicianId(person.technician_id),
        regions=person.regions,
        customer_id=person.customer_id,
    )


def _spread(total: int, weights: Sequence[int]) -> list[int]:
    """Return whole shares of `total` by weight that add up exactly (largest remainders first)."""
    exact = [total * weight / sum(weights) for weight in weights]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: (shares[i] - exact[i], i))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares


def _spec(customer: _Customer, number: int, position: int, rng: np.random.Generator) -> DeviceSpec:
    model = customer.models[int(rng.integers(len(customer.models)))] if number else customer.models[0]
    return DeviceSpec(
        device_id=f"{customer.id.removeprefix('c-')}-{number + 1:02d}",
        site_id=customer.sites[number % len(customer.sites)].id,
        model_id=model,
        start_life_share=NEAR_END_SHARE if position % NEAR_END_EVERY == NEAR_END_EVERY - 1 else None,
    )


def _device(
    tenant: TenantId,
    customer: _Customer,
    spec: DeviceSpec,
    position: int,
    catalogue: Catalogue,
    start: datetime,
) -> Device:
    """Return the row of a printer; every second one is polled over SNMP, the others push over MQTT."""
    model = catalogue.find(spec.model_id)
    polled = position % 2 == 0
    return Device(
        tenant=tenant,
        device_id=DeviceId(spec.device_id),
        site_id=SiteId(spec.site_id),
        customer_id=CustomerId(customer.id),
        contract_id=ContractId(f"k-{customer.id.removeprefix('c-')}"),
        model_id=ModelId(spec.model_id),
        vendor=None if model is None else model.vendor,
        model_name=None if model is None else model.name,
        asset_tag=f"DB-{position + 1:04d}",
        owner_state=OwnerState.INSTALLED,
        transport=Transport.SNMP if polled else Transport.MQTT,
        snmp=SnmpAddress(host=loopback_address(position // 2), port=1161) if polled else None,
        installed_on=start.date() - timedelta(days=30 + 7 * (position % 50)),
        registered_at=start,
    )


def loopback_address(number: int) -> str:
    """Return the loopback address of the polled printer of that number, counted from 0."""
    return str(IPv4Address(FIRST_ADDRESS) + number)


def _customer(tenant: TenantId, row: _Customer) -> Customer:
    return Customer(
        tenant=tenant,
        customer_id=CustomerId(row.id),
        name=row.name,
        tier=row.tier,
        industry=row.industry,
        contact_name=row.contact,
        phone=row.phone,
        email=f"{row.id}@customers.example",
    )


def _site(tenant: TenantId, customer: _Customer, row: _Site) -> Site:
    return Site(
        tenant=tenant,
        site_id=SiteId(row.id),
        customer_id=CustomerId(customer.id),
        name=row.name,
        address=row.address,
        region=row.region,
        latitude=row.latitude,
        longitude=row.longitude,
    )


def _contract(tenant: TenantId, row: _Customer, until: date) -> Contract:
    return Contract(
        tenant=tenant,
        contract_id=ContractId(f"k-{row.id.removeprefix('c-')}"),
        customer_id=CustomerId(row.id),
        starts_on=until - timedelta(days=AGE_DAYS),
        ends_on=until + timedelta(days=60 + 37 * row.weight),
        monthly_rent=Money(row.rent),
        on_site_hours=row.on_site_hours,
    )


def _technician(tenant: TenantId, row: _Technician) -> Technician:
    return Technician(
        tenant=tenant,
        technician_id=TechnicianId(row.id),
        name=row.name,
        regions=tuple(row.regions),
        skills=tuple(row.skills),
        phone=row.phone,
    )


def _period(device: Device, start: datetime) -> InstalledPeriod:
    assert device.site_id is not None
    assert device.customer_id is not None
    return InstalledPeriod(
        tenant=device.tenant,
        device_id=device.device_id,
        site_id=device.site_id,
        customer_id=device.customer_id,
        contract_id=device.contract_id,
        from_instant=start,
    )
