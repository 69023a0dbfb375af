"""`drumbeat discover`: finds printers in networks that the settings allow, and registers them when told to."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

import typer
from rich.progress import Progress

from collector.profiles import load_profiles
from collector.snmp.discovery import (
    Change,
    Discovery,
    KnownDevice,
    NamedCredential,
    Network,
    Proposal,
    Searcher,
    legacy_warning,
    proposals,
    searchable,
)
from collector.snmp.engine import Community
from config.cli.common import JsonFlag, notes, print_json, print_table, session_of
from config.cli.device import owner_and_place, record_of
from config.clock import SystemClock
from config.settings import Settings
from config.wiring.core import Core, open_core
from config.wiring.snmp import make_engine, make_reader, open_credentials
from crm_core.domain.errors import InvalidValue
from crm_core.domain.fleet import SnmpAddress

app = typer.Typer(add_completion=False)


@app.command()
def discover(
    context: typer.Context,
    networks: Annotated[list[str], typer.Argument(metavar="NETWORK...", help="For example 10.1.2.0/24.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="UDP port of the printers.")] = 161,
    customer: Annotated[
        str | None, typer.Option(help="Register the new printers at this customer (id or name).")
    ] = None,
    site: Annotated[str | None, typer.Option(help="Id of the customer's site.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Register without asking.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Search networks for printers with the stored credentials; without --customer nothing is registered."""
    core = open_core(session_of(context).settings, SystemClock())
    allowed = searchable(networks, core.settings.discovery.networks)
    stored = open_credentials(core.settings)
    community = core.settings.snmp.community
    credentials = [NamedCredential("default", Community(community))]
    credentials += [NamedCredential(name, kept) for name, kept in stored.all().items()]
    credentials.append(
        NamedCredential("default", Community(community, "1"))
    )  # old devices know only version 1
    found = asyncio.run(_search(core.settings, allowed, credentials, port))
    rows = proposals(found.printers, _known(core))
    registered = _register(core, rows, customer, site, yes=yes) if customer is not None else []
    for warning in {text for entry in credentials if (text := legacy_warning(entry.credential))}:
        notes.print(warning, markup=False)
    if as_json:
        print_json(_as_json(found, rows, registered))
    else:
        _show(found, rows, registered)


async def _search(
    settings: Settings, networks: Sequence[Network], credentials: Sequence[NamedCredential], port: int
) -> Discovery:
    engine = make_engine(settings)
    searcher = Searcher(
        engine,
        make_reader(settings, engine, load_profiles(), SystemClock()),
        credentials=credentials,
        port=port,
        a_second=settings.discovery.addresses_a_second,
        at_once=min(128, settings.snmp.max_in_flight),
    )
    try:
        with Progress(console=notes, transient=True) as progress:
            bar = progress.add_task("searching", total=None)
            return await searcher.search(
                networks, lambda done, total: progress.update(bar, completed=done, total=total)
            )
    finally:
        await engine.close()


def _known(core: Core) -> list[KnownDevice]:
    with core.uow_factory() as uow:
        devices = uow.devices.all(core.tenant)
    return [
        KnownDevice(
            device_id=device.device_id, host=device.snmp.host, port=device.snmp.port, serial=device.serial
        )
        for device in devices
        if device.snmp is not None
    ]


def _register(
    core: Core, rows: Sequence[Proposal], customer: str, site: str | None, *, yes: bool
) -> list[str]:
    """Register the new printers after confirmation; return their ids. Other changes are for a person to judge."""
    fresh = [row for row in rows if row.change is Change.NEW]
    if not fresh or not (
        yes or typer.confirm(f"register {len(fresh)} new printers at {customer}?", err=True)
    ):
        return []
    owner, place = owner_and_place(core, customer, site, "default")
    done = []
    for row in fresh:
        found = row.found
        address = SnmpAddress(
            host=found.host, port=found.port, version=found.version, credential=found.credential
        )
        try:
            record = record_of(core, address, None, row.found.reading)
        except InvalidValue as error:
            notes.print(f"{row.found.host} is not registered: {error}", markup=False)
            continue
        device = replace(record, customer_id=owner.customer_id, site_id=place.site_id)
        count = row.found.reading.counters.billing_count
        done.append(core.registry.register(device, start_count=count).device_id)
    return [str(device_id) for device_id in done]


def _row(row: Proposal) -> dict[str, Any]:
    identity = row.found.reading.identity
    return {
        "host": row.found.host,
        "port": row.found.port,
        "change": row.change.value,
        "device_id": row.device_id,
        "vendor": identity.vendor,
        "model": identity.model,
        "model_id": row.found.reading.derived.model_id,
        "serial": identity.serial,
        "mac": row.found.mac,
        "credential": row.found.credential,
        "version": row.found.version,
    }


def _as_json(found: Discovery, rows: Sequence[Proposal], registered: Sequence[str]) -> dict[str, Any]:
    return {
        "printers": [_row(row) for row in rows],
        "skipped": [
            {"host": row.host, "reason": row.reason, "description": row.description} for row in found.skipped
        ],
        "searched": found.searched,
        "silent": found.silent,
        "registered": list(registered),
    }


def _show(found: Discovery, rows: Sequence[Proposal], registered: Sequence[str]) -> None:
    names = ("host", "change", "device_id", "vendor", "model", "serial", "mac")
    if rows:
        print_table(names, ([_row(row)[name] for name in names] for row in rows))
    for skipped in found.skipped:
        notes.print(f"skipped {skipped.host}: {skipped.reason} {skipped.description}".rstrip(), markup=False)
    typer.echo(
        f"{len(rows)} printers, {len(found.skipped)} skipped, {found.silent} silent of {found.searched} addresses; "
        f"{len(registered)} registered"
    )


APPS: Final = {"discover": app}
