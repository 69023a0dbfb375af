"""The register of the fleet: customers, sites, contracts, technicians, and where each device stands.

A device keeps its history for ever; moving or retiring it closes its `InstalledPeriod` with the life count of that
moment, so readings never move from one customer to another.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from crm_core.agreements.contract_devices import LinePlace, begin_stay, end_stay
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.fleet import (
    Contract,
    Customer,
    Device,
    DeviceBundle,
    InstalledPeriod,
    OwnerState,
    Site,
)
from crm_core.domain.identity import CustomerId, DeviceId, SiteId, TenantId, checked_identifier
from crm_core.domain.service import Technician
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory

_GONE = frozenset({OwnerState.RETIRED, OwnerState.LOST})
#: Hears the tenant and the device that changed.
Watcher = Callable[[TenantId, DeviceId], None]


class Registry:
    """Registers, finds, moves and retires devices; keeps customers, sites, contracts and technicians.

    Ids are checked against the alphabet of topics and addresses (`InvalidValue`); a serial or an address that another
    device in use has is a `Conflict`.
    """

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, catalogue: Catalogue) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._catalogue = catalogue
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` of every device that was registered, moved or retired, after the commit."""
        self._watchers.append(watcher)

    def _tell(self, device: Device) -> Device:
        for watcher in self._watchers:
            watcher(device.tenant, device.device_id)
        return device

    def save_customer(self, customer: Customer) -> Customer:
        """Add or change a customer as it is; `relations.customers` keeps the rules of files (requirement 54)."""
        checked_identifier(customer.customer_id, "customer id")
        if not customer.name.strip():
            raise InvalidValue("a customer needs a name")
        with self._uow_factory() as uow:
            uow.customers.save(customer)
            uow.commit()
        return customer

    def save_site(self, site: Site) -> Site:
        """Add or change a site of an existing customer."""
        checked_identifier(site.site_id, "site id")
        with self._uow_factory() as uow:
            uow.customers.get(site.tenant, site.customer_id)
            uow.sites.save(site)
            uow.commit()
        return site

    def save_contract(self, contract: Contract) -> Contract:
        """Add or change a contract of an existing customer."""
        checked_identifier(contract.contract_id, "contract id")
        if contract.ends_on < contract.starts_on:
            raise InvalidValue(f"contract {contract.contract_id} ends before it starts")
        with self._uow_factory() as uow:
            uow.customers.get(contract.tenant, contract.customer_id)
            uow.contracts.save(contract)
            uow.commit()
        return contract

    def save_technician(self, technician: Technician) -> Technician:
        """Add or change a technician."""
        checked_identifier(technician.technician_id, "technician id")
        with self._uow_factory() as uow:
            uow.technicians.save(technician)
            uow.commit()
        return technician

    def register(self, device: Device, *, start_count: int | None = None) -> Device:
        """Register a device, or change what is known of it; the catalogue model is found by its reported name.

        A device at a site gets an installed period from now on (`start_count`: its life count now).
        """
        checked_identifier(device.device_id, "device id")
        now = self._clock.now()
        with self._uow_factory() as uow:
            known = uow.devices.find(device.tenant, device.device_id)
            complete = self._completed(uow, device, known, now)
            self._check_address(uow, complete)
            uow.devices.save(complete)
            place_before = (known.site_id, known.contract_id) if known is not None else None
            if place_before != (complete.site_id, complete.contract_id):
                self._begin_period(uow, complete, now, start_count)
            uow.commit()
        return self._tell(complete)

    def register_all(self, devices: list[Device]) -> list[Device]:
        """Register many devices, each in its own transaction (imports, demo)."""
        return [self.register(device) for device in devices]

    def move(
        self,
        tenant: TenantId,
        device_id: DeviceId,
        site_id: SiteId,
        *,
        count: int | None = None,
        line: LinePlace | None = None,
        actor: str = "drumbeat",
        dry_run: bool = False,
    ) -> Device:
        """Move a device to another site, and with it to the customer of that site; `count` is its life count now.

        With another customer, or a new contract line of this one, its stay on a line ends with the count, and it begins on
        `line` with the same count, all in one transaction. `Conflict` when it stands there already, or
        is lent as a stand-by machine; with `dry_run` everything but the writing.
        """
        now = self._clock.now()
        with self._uow_factory() as uow:
            device = uow.devices.get(tenant, device_id)
            site = uow.sites.get(tenant, site_id)
            if device.owner_state is OwnerState.LOAN:
                raise Conflict(f"device {device_id} is lent as a stand-by machine; end the loan first")
            if device.site_id == site_id and device.owner_state is OwnerState.INSTALLED:
                raise Conflict(f"device {device_id} stands at site {site_id} already")
            same_customer = site.customer_id == device.customer_id
            if not same_customer or line is not None:
                end_stay(uow, tenant, device_id, now, count, actor)
            moved = replace(
                device,
                site_id=site_id,
                customer_id=site.customer_id,
                contract_id=device.contract_id if same_customer else None,
                owner_state=OwnerState.INSTALLED,
            )
            if line is not None:
                moved = begin_stay(uow, moved, line, now, count, actor)
            uow.devices.save(moved)
            self._begin_period(uow, moved, now, count)
            if dry_run:
                return moved
            uow.commit()
        return self._tell(moved)

    def retire(
        self,
        tenant: TenantId,
        device_id: DeviceId,
        *,
        state: OwnerState = OwnerState.RETIRED,
        count: int | None = None,
    ) -> Device:
        """Take a device out of service (retired, lost, stock or repair): its period ends, its history stays."""
        if state in (OwnerState.INSTALLED, OwnerState.LOAN):
            raise InvalidValue(f"a device that is taken away cannot be {state}; move it instead")
        now = self._clock.now()
        with self._uow_factory() as uow:
            device = take_out(uow, tenant, device_id, state, now, count)
            uow.commit()
        return self._tell(device)

    def find(self, tenant: TenantId, device_id: DeviceId) -> DeviceBundle:
        """Return a device with its place and people."""
        with self._uow_factory() as uow:
            return uow.devices.bundle(tenant, device_id)

    def devices(self, tenant: TenantId) -> list[DeviceBundle]:
        """Return the whole fleet with places and people."""
        with self._uow_factory() as uow:
            return list(uow.devices.bundles(tenant))

    def customer(self, tenant: TenantId, customer_id: CustomerId) -> Customer:
        with self._uow_factory() as uow:
            return uow.customers.get(tenant, customer_id)

    def _completed(self, uow: UnitOfWork, device: Device, known: Device | None, now: datetime) -> Device:
        """Fill in what follows from the rest: registration, customer of the site, model of the catalogue."""
        customer_id = device.customer_id
        if device.site_id is not None:
            site = uow.sites.get(device.tenant, device.site_id)
            if customer_id not in (None, site.customer_id):
                raise Conflict(f"site {site.site_id} belongs to {site.customer_id}, not to {customer_id}")
            customer_id = site.customer_id
        model = self._catalogue.find(device.model_id) or self._catalogue.match(
            device.vendor, device.model_name
        )
        registered = device.registered_at or (known.registered_at if known else None) or now
        return replace(
            device,
            customer_id=customer_id,
            registered_at=registered,
            installed_on=device.installed_on or (registered.date() if device.site_id else None),
            model_id=device.model_id or (model.model_id if model else None),
            vendor=device.vendor or (model.vendor if model else None),
        )

    def _check_address(self, uow: UnitOfWork, device: Device) -> None:
        if device.snmp is None or device.owner_state in _GONE:
            return
        other = uow.devices.find_by_host(device.tenant, device.snmp.host, device.snmp.port)
        if other is not None and other.device_id != device.device_id and other.owner_state not in _GONE:
            address = f"{device.snmp.host}:{device.snmp.port}"
            raise Conflict(
                f"{address} is the address of device {other.device_id}; retire it or change its address"
            )

    def _begin_period(self, uow: UnitOfWork, device: Device, now: datetime, count: int | None) -> None:
        _end_period(uow, device, now, count)
        if device.site_id is None or device.customer_id is None:
            return
        uow.devices.save_period(
            InstalledPeriod(
                tenant=device.tenant,
                device_id=device.device_id,
                site_id=device.site_id,
                customer_id=device.customer_id,
                contract_id=device.contract_id,
                from_instant=now,
                start_count=count,
            )
        )


def take_out(
    uow: UnitOfWork,
    tenant: TenantId,
    device_id: DeviceId,
    state: OwnerState,
    now: datetime,
    count: int | None,
) -> Device:
    """Let a device stand at no customer any more, within a transaction: its period ends with its life count."""
    device = replace(uow.devices.get(tenant, device_id), owner_state=state, site_id=None, contract_id=None)
    uow.devices.save(device)
    _end_period(uow, device, now, count)
    return device


def _end_period(uow: UnitOfWork, device: Device, now: datetime, count: int | None) -> None:
    period = uow.devices.open_period(device.tenant, device.device_id)
    if period is not None:
        uow.devices.save_period(replace(period, to_instant=now, end_count=count))
