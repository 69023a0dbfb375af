"""The rows of the small world: customers with their places and a contract, printers, and the people who sign in."""

from datetime import date
from decimal import Decimal
from typing import Protocol

from api.passwords import hash_password
from api.services import ApiServices
from crm_core.domain.fleet import Contract, Customer, CustomerTier, Device, Site, SnmpAddress
from crm_core.domain.identity import (
    DEFAULT_TENANT,
    ContractId,
    CustomerId,
    DeviceId,
    SiteId,
    TechnicianId,
    TenantId,
    UserId,
)
from crm_core.domain.money import Money
from crm_core.domain.service import Role, Technician, User
from crm_core.registry import Registry
from tests.integration.api.telemetry import OTHER_TENANT, REGION_OF_SITE

PASSWORD = "correct horse 42"


class HasServices(Protocol):
    """The world, or as much of it as the rows need."""

    @property
    def services(self) -> ApiServices: ...


def customers_rows(registry: Registry, tenant: TenantId) -> None:
    tiers = (CustomerTier.CORE, CustomerTier.IMPORTANT, CustomerTier.ORDINARY)
    names = ("华东设计院", "Riverside School", "Studio Null")
    for number, (name, tier) in enumerate(zip(names, tiers, strict=True), 1):
        registry.save_customer(
            Customer(
                tenant=tenant,
                customer_id=CustomerId(f"cust-{number}"),
                name=name,
                tier=tier,
                contact_name="王芳",
                phone="021-5555 0101",
            )
        )
    places = (
        ("hq", 1, "总部", "上海市黄浦区北京东路 666 号"),
        ("branch", 1, "分部", "上海市杨浦区国定路 1 号"),
    )
    places += (("school", 2, "Main building", "12 School Lane"), ("studio", 3, "Studio", "3 Harbour Street"))
    for site_id, customer, name, address in places:
        registry.save_site(
            Site(
                tenant=tenant,
                site_id=SiteId(site_id),
                customer_id=CustomerId(f"cust-{customer}"),
                name=name,
                address=address,
                region=REGION_OF_SITE[site_id],
                access_notes="Ring at the gate." if site_id == "school" else "",
            )
        )
    registry.save_contract(
        Contract(
            tenant=tenant,
            contract_id=ContractId("k-1"),
            customer_id=CustomerId("cust-1"),
            starts_on=date(2025, 1, 1),
            ends_on=date(2027, 12, 31),
            monthly_rent=Money(Decimal(600)),
            on_site_hours=24,
        )
    )


def devices_rows(registry: Registry, tenant: TenantId, roster: tuple[tuple[object, ...], ...]) -> None:
    customer_of = {"hq": "cust-1", "branch": "cust-1", "school": "cust-2", "studio": "cust-3"}
    for number, (device_id, site, model, _, _) in enumerate(roster, 1):
        registry.register(
            Device(
                tenant=tenant,
                device_id=DeviceId(str(device_id)),
                site_id=SiteId(str(site)),
                customer_id=CustomerId(customer_of[str(site)]),
                contract_id=ContractId("k-1") if site == "hq" else None,
                vendor=str(model).split()[0],
                model_name=str(model),
                serial=f"SN{number:05d}",
                snmp=SnmpAddress(host=f"127.9.{len(tenant)}.{number}"),
                installed_on=date(2025, 6, 1),
            )
        )


def people_rows(world: HasServices) -> None:
    password = hash_password(PASSWORD)
    registry = world.services.registry
    for tenant in (DEFAULT_TENANT, OTHER_TENANT):
        for name, region in (("li", "east"), ("zhao", "west")):
            registry.save_technician(
                Technician(
                    tenant=tenant,
                    technician_id=TechnicianId(name),
                    name={"li": "李强", "zhao": "Zhao Min"}[name],
                    regions=(region,),
                    skills=("*",),
                )
            )
    rows = (
        ("admin", Role.ADMIN, None, ()),
        ("manager", Role.MANAGER, None, ()),
        ("manager-east", Role.MANAGER, None, ("east",)),
        ("dispatcher", Role.DISPATCHER, None, ()),
        ("dispatcher-west", Role.DISPATCHER, None, ("west",)),
        ("tech-li", Role.TECHNICIAN, "li", ()),
        ("tech-zhao", Role.TECHNICIAN, "zhao", ()),
        ("supervisor", Role.SUPERVISOR, None, ()),
        ("specialist", Role.SPECIALIST, None, ()),
        ("customer", Role.CUSTOMER, "cust-1", ()),
        ("customer-west", Role.CUSTOMER, "cust-2", ()),
        ("integrator", Role.INTEGRATOR, None, ()),
        ("integrator-west", Role.INTEGRATOR, "cust-2", ()),
    )
    with world.services.uow_factory() as uow:
        for tenant in (DEFAULT_TENANT, OTHER_TENANT):
            people = rows if tenant == DEFAULT_TENANT else (*rows, ("rival-user", Role.MANAGER, None, ()))
            for name, role, bound, regions in people:
                technician = bound if role is Role.TECHNICIAN else None
                customer = None if role is Role.TECHNICIAN else bound
                uow.users.save(
                    User(
                        tenant=tenant,
                        user_id=UserId(name),
                        name=name,
                        role=role,
                        password_hash=password,
                        technician_id=TechnicianId(technician) if technician else None,
                        customer_id=CustomerId(customer) if customer else None,
                        regions=regions,
                        language="en",
                    )
                )
        uow.commit()
