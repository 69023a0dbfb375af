"""`drumbeat device`: real printers join the fleet, are listed and leave it."""

import asyncio
import re
from dataclasses import replace
from typing import Annotated, Final

import typer

from collector.snmp.discovery import legacy_warning
from collector.snmp.engine import Community, Credential, UsmUser
from config.cli.common import JsonFlag, notes, print_json, print_table, session_of
from config.cli.probe import read_once
from config.clock import SystemClock
from config.targets import AUTH, PRIV, split_host, target_of
from config.wiring.core import Core, open_core
from config.wiring.snmp import open_credentials
from crm_core.domain.errors import DeviceUnreachable, InvalidValue, NotFound
from crm_core.domain.fleet import Customer, Device, OwnerState, Site, SnmpAddress, Transport
from crm_core.domain.identity import CustomerId, DeviceId, ModelId, SiteId, checked_identifier
from crm_core.domain.telemetry import DeviceReading
from crm_core.domain.wire import instant_to_json

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Register, list and retire devices.")


@app.command()
def add(
    context: typer.Context,
    host: Annotated[str, typer.Argument(metavar="HOST[:PORT]", help="Name or address of the printer.")],
    customer: Annotated[str, typer.Option(help="Id or name of the customer; made when there is none.")],
    site: Annotated[
        str | None, typer.Option(help="Id of the site; else the customer's only or first one.")
    ] = None,
    region: Annotated[
        str, typer.Option(help="Region of a new site, by which technicians are chosen.")
    ] = "default",
    device_id: Annotated[
        str | None, typer.Option("--id", help="Id of the device; else made from its serial.")
    ] = None,
    version: Annotated[str, typer.Option(help="SNMP version: 1, 2c or 3.")] = "2c",
    credential: Annotated[
        str, typer.Option(help="Name of a stored credential (`drumbeat device credential`), for version 3.")
    ] = "default",
    push: Annotated[
        bool,
        typer.Option(
            "--push", help="An agent pushes its readings over MQTT: HOST is only its id, nothing is polled."
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Read a printer, find its model in the catalogue and register it at a customer's site."""
    core = open_core(session_of(context).settings, SystemClock())
    name, port = split_host(host)
    address = SnmpAddress(host=name, port=port, version=version, credential=credential)
    reading = None if push else _look_at(core, address)
    owner, place = owner_and_place(core, customer, site, region)
    device = record_of(core, address, device_id, reading)
    count = None if reading is None else reading.counters.billing_count
    registered = core.registry.register(
        replace(device, customer_id=owner.customer_id, site_id=place.site_id), start_count=count
    )
    _tell(core, registered, as_json=as_json)


@app.command("list")
def list_devices(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List all devices with customer, place and address."""
    core = open_core(session_of(context).settings, SystemClock())
    with core.uow_factory() as uow:
        bundles = uow.devices.bundles(core.tenant)
    rows = [
        {
            "device_id": b.device.device_id,
            "model": b.device.model_name,
            "model_id": b.device.model_id,
            "serial": b.device.serial,
            "customer": b.customer.name if b.customer else None,
            "site": b.site.name if b.site else None,
            "transport": b.device.transport.value,
            "host": None if b.device.snmp is None else f"{b.device.snmp.host}:{b.device.snmp.port}",
            "state": b.device.owner_state.value,
        }
        for b in bundles
    ]
    if as_json:
        print_json(rows)
    else:
        names = ("device_id", "model", "serial", "customer", "site", "host", "state")
        print_table(names, ([row[name] for name in names] for row in rows))


@app.command()
def retire(
    context: typer.Context, device_id: Annotated[str, typer.Argument(help="Id of the device.")]
) -> None:
    """Take a device out of the fleet; its history stays."""
    core = open_core(session_of(context).settings, SystemClock())
    core.registry.retire(core.tenant, DeviceId(device_id))
    typer.echo(f"{device_id} is retired")


@app.command("credential")
def keep_credential(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name that devices refer to.")],
    user: Annotated[str | None, typer.Option(help="SNMPv3 user; without it a community is stored.")] = None,
    auth: Annotated[
        str, typer.Option(help="For version 3: sha256, sha384, sha512, sha1, md5 or none.")
    ] = "sha256",
    priv: Annotated[str, typer.Option(help="For version 3: aes128, aes192, aes256, des or none.")] = "aes128",
    remove: Annotated[bool, typer.Option("--remove", help="Forget the credential.")] = False,
) -> None:
    """Store an SNMP credential, encrypted; its secrets are asked for, never given as arguments."""
    checked_identifier(name, "credential name")
    store = open_credentials(session_of(context).settings)
    if remove:
        store.remove(name)
        typer.echo(f"{name} is forgotten")
        return
    credential: Credential
    if user is None:
        credential = Community(_secret("community"))
    else:
        if auth not in (*AUTH, "none") or priv not in (*PRIV, "none"):
            raise InvalidValue(
                f"--auth is one of {', '.join(AUTH)}, none and --priv one of {', '.join(PRIV)}, none"
            )
        passwords = [
            _secret(f"{what} password") if protocol != "none" else ""
            for what, protocol in (("authentication", auth), ("privacy", priv))
        ]
        credential = UsmUser(user, auth, passwords[0], priv, passwords[1])  # type: ignore[arg-type]  # checked above
    store.put(name, credential)
    if warning := legacy_warning(credential):
        notes.print(warning, markup=False)
    typer.echo(f"{name} is stored")


def _secret(what: str) -> str:
    return str(typer.prompt(what, hide_input=True, err=True))


def _look_at(core: Core, address: SnmpAddress) -> DeviceReading:
    if address.version not in {"1", "2c", "3"}:
        raise InvalidValue("--version must be 1, 2c or 3")
    if address.version == "3" and address.credential == "default":
        raise InvalidValue("version 3 needs --credential: store one with `drumbeat device credential`")
    target = target_of(address, core.settings.snmp.community, open_credentials(core.settings))
    try:
        return asyncio.run(read_once(core.settings, target))
    except DeviceUnreachable as error:
        raise DeviceUnreachable(f"{error}; nothing was registered") from error


def record_of(
    core: Core, address: SnmpAddress, device_id: str | None, reading: DeviceReading | None
) -> Device:
    """Return the record of a device as its first reading shows it; without a place."""
    identity = None if reading is None else reading.identity
    found = device_id or _id_from((identity.serial if identity else None) or address.host)
    model = None if reading is None else core.catalogue.find(reading.derived.model_id)
    vendor = None if reading is None else reading.derived.vendor or (identity.vendor if identity else None)
    return Device(
        tenant=core.tenant,
        device_id=DeviceId(checked_identifier(found, "device id")),
        model_id=None if model is None else ModelId(model.model_id),
        vendor=vendor,
        model_name=identity.model if identity else None,
        serial=identity.serial if identity else None,
        transport=Transport.MQTT if reading is None else Transport.SNMP,
        snmp=None if reading is None else address,
        owner_state=OwnerState.INSTALLED,
        registered_at=core.clock.now(),
    )


def _id_from(text: str) -> str:
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:64]
    if not cleaned:
        raise InvalidValue("the device states no serial that could be its id; give one with --id")
    return cleaned


def owner_and_place(core: Core, customer: str, site: str | None, region: str) -> tuple[Customer, Site]:
    """Return customer and site by id or name; both are made when there are none."""
    owner = _customer(core, customer)
    return owner, _site(core, owner, site, region)


def _customer(core: Core, wanted: str) -> Customer:
    """Return the customer of that id or name; a new company when there is none."""
    with core.uow_factory() as uow:
        known = uow.customers.all(core.tenant)
    for customer in known:
        if wanted in {customer.customer_id, customer.name}:
            return customer
    number = len(known) + 1
    fresh = Customer(
        tenant=core.tenant, customer_id=CustomerId(f"c-{number:04d}"), name=wanted, contact_name=wanted
    )
    notes.print(f"new customer {fresh.customer_id}: {wanted}", markup=False)
    return core.registry.save_customer(fresh)


def _site(core: Core, customer: Customer, wanted: str | None, region: str) -> Site:
    with core.uow_factory() as uow:
        sites = [site for site in uow.sites.all(core.tenant) if site.customer_id == customer.customer_id]
    if wanted is not None:
        for site in sites:
            if wanted in {site.site_id, site.name}:
                return site
        known = ", ".join(site.site_id for site in sites) or "none yet: leave --site out"
        raise NotFound(f"{customer.name} has no site {wanted!r}; there are: {known}")
    if sites:
        return sites[0]
    fresh = Site(
        tenant=core.tenant,
        site_id=SiteId(f"s-{customer.customer_id.removeprefix('c-')}"),
        customer_id=customer.customer_id,
        name=customer.name,
        region=region,
        time_zone=core.settings.schedule.time_zone,
    )
    return core.registry.save_site(fresh)


def _tell(core: Core, device: Device, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "device_id": device.device_id,
                "model": device.model_name,
                "model_id": device.model_id,
                "vendor": device.vendor,
                "serial": device.serial,
                "customer_id": device.customer_id,
                "site_id": device.site_id,
                "transport": device.transport.value,
                "registered_at": instant_to_json(device.registered_at or core.clock.now()),
            }
        )
        return
    typer.echo(f"{device.device_id}: {device.vendor or ''} {device.model_name or ''}".rstrip())
    known = core.catalogue.find(device.model_id)
    if device.transport is Transport.SNMP and known is None:
        notes.print("its model is not in the catalogue: forecasts start from general figures", markup=False)
    if device.transport is Transport.MQTT:
        topic = f"drumbeat/v1/{device.tenant}/{device.site_id}/{device.device_id}/reading"
        typer.echo(f"its agent publishes to {topic}")


APPS: Final = {"device": app}
