"""`drumbeat probe`: one look at one printer, exactly as the collector would see it, without storing anything."""

import asyncio
from typing import Annotated, Final

import typer

from collector.profiles import load_profiles
from collector.snmp.poller import PollTarget
from config.cli.common import JsonFlag, notes, print_table, session_of
from config.clock import SystemClock
from config.settings import Settings
from config.targets import credential_of, resolve, split_host
from config.wiring.snmp import make_engine, make_reader
from crm_core.domain.telemetry import DeviceReading, MarkerSupply
from crm_core.domain.wire import encode_reading

app = typer.Typer(add_completion=False)


@app.command()
def probe(
    context: typer.Context,
    host: Annotated[str, typer.Argument(metavar="HOST[:PORT]", help="Name or address of the printer.")],
    version: Annotated[str, typer.Option(help="SNMP version: 1, 2c or 3.")] = "2c",
    community: Annotated[
        str | None, typer.Option(help="Community for 1 and 2c; else snmp.community.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="User for version 3.")] = None,
    auth: Annotated[
        str | None,
        typer.Option(metavar="PROTOCOL:PASSWORD", help="For version 3, for example sha256:secret."),
    ] = None,
    priv: Annotated[
        str | None,
        typer.Option(metavar="PROTOCOL:PASSWORD", help="For version 3, for example aes128:secret."),
    ] = None,
    context_name: Annotated[str, typer.Option("--context", help="Context for version 3.")] = "",
    timeout: Annotated[
        float | None,
        typer.Option(min=0.1, max=120, help="Seconds for the whole poll; else snmp.device_deadline_seconds."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Read one printer and show what it says; exit 1 when it does not answer."""
    settings = session_of(context).settings
    name, port = split_host(host)
    target = PollTarget(
        host=resolve(name),
        port=port,
        credential=credential_of(version, community, user, auth, priv, usual=settings.snmp.community),
        context=context_name,
    )
    reading = asyncio.run(read_once(settings, target, timeout))
    if as_json:
        typer.echo(encode_reading(reading).decode())
    else:
        show(reading)


async def read_once(settings: Settings, target: PollTarget, seconds: float | None = None) -> DeviceReading:
    """Return one reading of the target, within `seconds`."""
    engine = make_engine(settings)
    try:
        reader = make_reader(settings, engine, load_profiles(), SystemClock(), seconds=seconds)
        return await reader.poll(target)
    finally:
        await engine.close()


def show(reading: DeviceReading) -> None:
    """Print a reading for people."""
    identity = reading.identity
    typer.echo(f"{identity.vendor or ''} {identity.model or 'unknown model'}".strip())
    typer.echo(f"serial {identity.serial or 'not stated'}, firmware {identity.firmware or 'not stated'}")
    counters = reading.counters
    typer.echo(f"pages {'not stated' if counters.billing_count is None else counters.billing_count}")
    if reading.error_names:
        typer.echo(f"errors: {', '.join(sorted(reading.error_names))}")
    for alert in reading.alerts:
        typer.echo(f"alert: {alert.desc or f'code {alert.code}'}")
    for line in reading.status.console:
        typer.echo(f"panel: {line}")
    if reading.supplies:
        print_table(
            ("supply", "level", "name"), ((row.index, _level(row), row.name) for row in reading.supplies)
        )
    if reading.trays:
        rows = (
            (row.index, "not stated" if row.percent is None else f"{row.percent:g} %", row.name)
            for row in reading.trays
        )
        print_table(("tray", "level", "name"), rows)
    if reading.incomplete:
        notes.print(f"incomplete: {', '.join(reading.incomplete)} did not answer", markup=False)


def _level(row: MarkerSupply) -> str:
    if row.percent is not None:
        return f"{row.percent:g} %"
    return "not stated" if row.level_state is None else row.level_state.value.replace("_", " ")


APPS: Final = {"probe": app}
