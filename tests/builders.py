"""Small builders of domain objects for tests: name what matters, the rest is harmless.

Times count from `T0`, a Monday morning in the China of the sample calendar (09:00 local).
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from crm_core.domain.fleet import Contract, Customer, CustomerTier, Device, Site
from crm_core.domain.forecast import ForecastBasis, Interval, LifeForecast, Provenance, SupplyForecast
from crm_core.domain.identity import (
    DEFAULT_TENANT,
    ContractId,
    CustomerId,
    DeviceId,
    ModelId,
    SiteId,
    TechnicianId,
    TicketId,
)
from crm_core.domain.money import Money
from crm_core.domain.service import (
    Condition,
    Signal,
    SignalOrigin,
    Technician,
    Ticket,
    TicketLevel,
    TicketState,
)
from crm_core.domain.telemetry import (
    Cover,
    DeviceIdentity,
    DeviceReading,
    DeviceStatus,
    InputTray,
    MarkerSupply,
    PrinterAlert,
    level_state,
    percent_of,
)
from crm_core.ports import UnitOfWorkFactory

T0 = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # 09:00 in Shanghai, a plain Monday
TENANT = DEFAULT_TENANT


class ManualClock:
    """A clock that a test sets and moves."""

    def __init__(self, start: datetime = T0) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def move_to(self, instant: datetime) -> None:
        self._now = instant

    def advance(self, **duration: float) -> datetime:
        self._now += timedelta(**duration)
        return self._now


def a_customer(customer_id: str = "c1", tier: CustomerTier = CustomerTier.ORDINARY) -> Customer:
    return Customer(
        tenant=TENANT,
        customer_id=CustomerId(customer_id),
        name=customer_id.upper(),
        tier=tier,
        contact_name="Li",
    )


def a_site(site_id: str = "s1", customer_id: str = "c1", region: str = "north") -> Site:
    return Site(
        tenant=TENANT,
        site_id=SiteId(site_id),
        customer_id=CustomerId(customer_id),
        name=site_id,
        region=region,
    )


def a_contract(
    contract_id: str = "k1", customer_id: str = "c1", on_site_hours: int | None = None
) -> Contract:
    return Contract(
        tenant=TENANT,
        contract_id=ContractId(contract_id),
        customer_id=CustomerId(customer_id),
        starts_on=date(2026, 1, 1),
        ends_on=date(2027, 12, 31),
        monthly_rent=Money(Decimal("600.00")),
        on_site_hours=on_site_hours,
    )


def a_device(
    device_id: str = "d1", site_id: str | None = "s1", customer_id: str | None = "c1", **changes: object
) -> Device:
    fields: dict[str, object] = {
        "tenant": TENANT,
        "device_id": DeviceId(device_id),
        "site_id": site_id,
        "customer_id": customer_id,
        "model_id": ModelId("acme-c1"),
        "vendor": "Acme",
        "model_name": "Acme C1",
        "registered_at": T0,
        **changes,
    }
    return Device(**fields)


def a_technician(
    technician_id: str = "t1", regions: tuple[str, ...] = ("north",), skills: tuple[str, ...] = ("*",)
) -> Technician:
    return Technician(
        tenant=TENANT,
        technician_id=TechnicianId(technician_id),
        name=technician_id.upper(),
        regions=regions,
        skills=skills,
    )


def a_small_fleet(
    uow_factory: UnitOfWorkFactory, devices: int = 1, tier: CustomerTier = CustomerTier.ORDINARY
) -> None:
    """Save customer c1 with site s1, technician t1 and devices d1 .. dn."""
    with uow_factory() as uow:
        uow.customers.save(a_customer(tier=tier))
        uow.sites.save(a_site())
        uow.technicians.save(a_technician())
        for number in range(1, devices + 1):
            uow.devices.save(a_device(f"d{number}"))
        uow.commit()


def a_supply(index: str, level: int, colorant: str = "black", **changes: object) -> MarkerSupply:
    fields: dict[str, object] = {
        "index": index,
        "type": "toner",
        "cls": "supplyThatIsConsumed",
        "colorant": colorant,
        "unit": "percent",
        "capacity": 100,
        "level": level,
        "level_state": level_state(level),
        "percent": percent_of(level, 100, "percent"),
        **changes,
    }
    return MarkerSupply(**fields)


def an_alert(
    code: int, severity: int = 3, group: int = 11, gindex: int = 1, **changes: object
) -> PrinterAlert:
    fields: dict[str, object] = {
        "index": f"1.{code}", "severity": severity, "training": 3, "group": group, "gindex": gindex, "code": code, **changes
    }  # fmt: skip
    return PrinterAlert(**fields)


def a_reading(
    at: datetime = T0,
    *,
    device_id: str | None = "d1",
    supplies: Iterable[MarkerSupply] = (),
    alerts: Iterable[PrinterAlert] = (),
    errors: Iterable[str] = (),
    covers: Mapping[str, Cover] | None = None,
    trays: Iterable[InputTray] = (),
    console: Iterable[str] = (),
    **changes: object,
) -> DeviceReading:
    fields: dict[str, object] = {
        "device_id": device_id,
        "polled_at": at,
        "identity": DeviceIdentity(vendor="Acme", model="C1"),
        "supplies": tuple(supplies),
        "alerts": tuple(alerts),
        "covers": dict(covers or {}),
        "trays": tuple(trays),
        "status": DeviceStatus(errors={"1": tuple(errors)}, console=tuple(console)),
        **changes,
    }
    return DeviceReading(**fields)


L1, L2, L3 = TicketLevel.L1, TicketLevel.L2, TicketLevel.L3


def a_condition(cause: str = "fault.fuser", level: TicketLevel | None = L3, **changes: object) -> Condition:
    category = {"supply": "consumable", "jam": "jam", "cover": "cover", "paper": "paper"}.get(
        cause.split(".", maxsplit=1)[0], "mechanical"
    )
    fields: dict[str, object] = {
        "cause": cause, "level": level, "category": category, "code": "test:1", "severity": "critical",
        "detail": {"name": cause, "label": "black toner"}, **changes,
    }  # fmt: skip
    return Condition(**fields)


def a_signal(*conditions: Condition, at: datetime = T0, device_id: str = "d1", **changes: object) -> Signal:
    fields: dict[str, object] = {
        "tenant": TENANT,
        "device_id": DeviceId(device_id),
        "observed_at": at,
        "origin": SignalOrigin.TELEMETRY,
        "evidence": f"t:{round(at.timestamp() * 1000)}",
        "conditions": conditions,
        **changes,
    }
    return Signal(**fields)


def a_ticket(cause: str = "fault.fuser", device_id: str = "d1", **changes: object) -> Ticket:
    fields: dict[str, object] = {
        "tenant": TENANT,
        "ticket_id": TicketId(0),
        "device_id": DeviceId(device_id),
        "site_id": SiteId("s1"),
        "customer_id": CustomerId("c1"),
        "cause": cause,
        "category": "mechanical",
        "level": L3,
        "state": TicketState.NEW,
        "title_key": "tickets.title.mechanical",
        "detail": {"name": "x"},
        "raised_at": T0,
        "changed_at": T0,
        "clocks": (),
        "evidence": (),
        **changes,
    }
    return Ticket(**fields)


def a_provenance(made_at: datetime = T0, age_of_data_days: float = 0.1) -> Provenance:
    return Provenance(
        made_at=made_at,
        as_of=made_at.date(),
        model="test/1",
        basis=ForecastBasis.OWN_HISTORY,
        age_of_data_days=age_of_data_days,
    )


def a_supply_forecast(
    index: str = "1.1", days: float | None = 5.0, *, replenish: bool = True, device_id: str = "d1",
    colour: str = "black", made_at: datetime = T0,
) -> SupplyForecast:  # fmt: skip
    return SupplyForecast(
        tenant=TENANT,
        device_id=DeviceId(device_id),
        supply_index=index,
        kind="toner",
        colour=colour,
        level_percent=12.0,
        days_to_empty=None if days is None else Interval(days * 0.7, days, days * 1.5),
        pages_per_day=Interval(50, 60, 70),
        replenish=replenish,
        provenance=a_provenance(made_at),
    )


def a_life_forecast(used_share: float, component: str = "device", made_at: datetime = T0) -> LifeForecast:
    return LifeForecast(
        tenant=TENANT,
        device_id=DeviceId("d1"),
        component=component,
        used_share=used_share,
        design_life_pages=300_000,
        days_to_replacement=Interval(10, 20, 30),
        provenance=a_provenance(made_at),
    )
