"""`drumbeat simulate`: printers that exist only here, to try the product out or to test against."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from config.cli.common import JsonFlag, notes, print_json, session_of
from config.cli.story import FIRST_ADDRESS as STORY_ADDRESS
from config.cli.story import known_stories, mqtt_place, show_headless, show_live
from config.cli.story_fleet import register_story
from config.clock import SystemClock
from config.supervision import Lifecycle, NamedPart
from config.targets import split_host
from config.wiring.core import open_core
from crm_core.domain.errors import InvalidValue, StoreUnavailable
from simulators.device import Fleet, devices_of, make_roster
from simulators.history import record_history, write_histories
from simulators.models import default_models
from simulators.mqtt_agent import MqttPlace
from simulators.mqtt_fleet import MqttFleet
from simulators.proxy import Faults, TcpFaultProxy, UdpFaultProxy
from simulators.recordings import RecordingPlayer
from simulators.runner import LiveOptions
from simulators.snmp_fleet import SnmpFleetServer, fleet_agents

app = typer.Typer(add_completion=False, help="Serve simulated or recorded printers over SNMP and MQTT.")

FIRST_ADDRESS: Final = "127.45.0.1"
AHEAD: Final = timedelta(minutes=10)
FIRST_DAY: Final = datetime(2024, 1, 1, tzinfo=UTC)
Chance = Annotated[float, typer.Option(min=0, max=1, help="Chance, 0 to 1.")]
PAST_DAYS: Final = 60  # so that machines do not all start on their first day
Port = Annotated[int, typer.Option(min=0, max=65535, help="UDP port, the same for all; 0 = any free one.")]


@app.callback(invoke_without_command=True)
def simulate(
    context: typer.Context,
    *,
    scenario: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Show a story; --scenarios lists the names.")
    ] = None,
    scenarios: Annotated[bool, typer.Option("--scenarios", help="List the stories that there are.")] = False,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Scale the story to about so many printers.")
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0.01, max=86400, help="How fast the story's time passes.")
    ] = 1.0,
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed than the story's own.")] = None,
    port: Port = 0,
    mqtt: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Half of the printers push to this broker.")
    ] = None,
    traps_to: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Send SNMP traps there.")] = None,
    trap_version: Annotated[
        Literal["1", "2c"], typer.Option(help="SNMP version of the traps; old printers send version 1.")
    ] = "2c",
    register: Annotated[
        bool,
        typer.Option(
            "--register", help="Enter the story's customers and printers into the data folder's CRM."
        ),
    ] = False,
    headless: Annotated[
        bool, typer.Option("--headless", help="Run the story through at once, without the network.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write truth and ledger into this folder.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Serve simulated or recorded printers over SNMP and MQTT."""
    if context.invoked_subcommand is not None:
        return
    session = session_of(context)
    session.prepare()
    if scenarios:
        typer.echo(known_stories())
    elif scenario is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
    elif headless:
        show_headless(scenario, seed=seed, devices=devices, out=out, as_json=as_json)
    else:
        options = LiveOptions(
            speed=speed,
            snmp_port=port,
            first_address=STORY_ADDRESS,
            mqtt=mqtt_place(mqtt, session.tenant),
            traps_to=None if traps_to is None else split_host(traps_to),
            trap_version=("1", "2c").index(trap_version),
            out=out,
        )
        clock = SystemClock()
        core = open_core(session.settings, clock) if register else None
        known = None if core is None else partial(register_story, core)
        show_live(scenario, clock, options, seed=seed, devices=devices, register=known, as_json=as_json)


@app.command()
def recordings(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder with .snmprec files.")],
    port: Port = 0,
    as_json: JsonFlag = False,
) -> None:
    """Serve every recording of a folder as an SNMP agent on its own loopback address until Ctrl-C."""
    session_of(context).prepare()
    try:
        player = RecordingPlayer(folder, SystemClock(), port=port)
    except (OSError, ValueError) as error:
        raise InvalidValue(f"{folder}: {error}") from error
    _serve(player.server, list(player.addresses), as_json=as_json)


@app.command()
def fleet(
    context: typer.Context,
    devices: Annotated[int, typer.Option(min=1, max=20000, help="How many printers.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another fleet.")] = 1,
    port: Port = 0,
    mqtt: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Push over MQTT to this broker instead of answering SNMP."),
    ] = None,
    every: Annotated[float, typer.Option(min=1, max=86400, help="Seconds between two pushes.")] = 60.0,
    as_json: JsonFlag = False,
) -> None:
    """Serve a seeded fleet: by SNMP, each printer on its own loopback address, or pushing to a broker."""
    tenant = session_of(context).tenant
    clock = SystemClock()
    now = clock.now()
    models = default_models()
    start = (now - timedelta(days=PAST_DAYS)).date()
    simulated = Fleet(make_roster(devices, models, seed=seed), seed=seed, start=start, keep_days=3)
    simulated.advance_to(now + AHEAD)
    names = [device.device_id for device in devices_of(simulated)]
    if mqtt is None:
        agents = fleet_agents(simulated, now)
        server = SnmpFleetServer(agents, clock, port=port, first_address=FIRST_ADDRESS)
        _serve(server, names, as_json=as_json, beat=lambda: simulated.advance_to(clock.now() + AHEAD))
        return
    host, broker_port = split_host(mqtt)
    pushing = MqttFleet(
        devices_of(simulated), MqttPlace(host=host, port=broker_port, tenant=tenant), seed=seed
    )

    def push() -> None:
        simulated.advance_to(clock.now() + AHEAD)
        pushing.push(clock.now())

    life = Lifecycle([NamedPart("MQTT fleet", pushing.start, pushing.stop)])
    life.start()
    try:
        _tell(
            {name: device.site_id for name, device in zip(names, pushing.devices, strict=True)},
            as_json=as_json,
        )
        push()
        life.wait(push, every)
    finally:
        life.stop()


@app.command()
def history(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Folder for the files.")],
    devices: Annotated[int, typer.Option(min=1, max=100_000, help="How many printers.")] = 1000,
    days: Annotated[int, typer.Option(min=30, max=4000, help="How many days.")] = 540,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The first day.")] = FIRST_DAY,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another fleet.")] = 1,
    as_json: JsonFlag = False,
) -> None:
    """Write histories of a simulated fleet, with their truth, in the formats that `backtest` reads."""
    session_of(context).prepare()
    roster = make_roster(devices, default_models(), seed=seed)
    simulated = Fleet(roster, seed=seed, start=start.date(), keep_days=2)
    notes.print(f"{devices} printers live through {days} days", markup=False)
    try:
        files = write_histories(record_history(simulated, days), out, known_before_day=days * 5 // 9)
    except OSError as error:
        raise InvalidValue(f"{out}: {error.strerror or error}") from error
    _list([str(path) for path in files], as_json=as_json)


@app.command()
def proxy(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Where the traffic goes.")],
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 = any free one.")] = 0,
    udp: Annotated[
        bool, typer.Option("--udp", help="Datagrams (SNMP) instead of connections (MQTT).")
    ] = False,
    delay: Annotated[float, typer.Option(min=0, max=60, help="Seconds.")] = 0.0,
    jitter: Annotated[float, typer.Option(min=0, max=60, help="Seconds at most, on top.")] = 0.0,
    drop: Chance = 0.0,
    duplicate: Chance = 0.0,
    reorder: Chance = 0.0,
    corrupt: Chance = 0.0,
    reset: Chance = 0.0,
    rate: Annotated[float | None, typer.Option(min=1, help="Bytes a second.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which pieces are hit.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Make a bad network between two parts until Ctrl-C; chances 0 to 1 count per datagram or chunk."""
    session_of(context).prepare()
    faults = Faults(
        delay_seconds=delay,
        jitter_seconds=jitter,
        drop=drop,
        duplicate=duplicate,
        reorder=reorder,
        corrupt=corrupt,
        reset=reset,
        bytes_per_second=rate,
    )
    kind = UdpFaultProxy if udp else TcpFaultProxy
    made = kind(split_host(target), faults, seed=seed, port=port)
    life = Lifecycle([NamedPart("fault proxy", made.start, made.stop)])
    try:
        life.start()
    except OSError as error:
        raise StoreUnavailable(
            f"cannot listen on 127.0.0.1:{port}: {error.strerror or error}; choose another --port"
        ) from error
    try:
        _list([f"127.0.0.1:{made.port}"], as_json=as_json)
        life.wait()
    finally:
        life.stop()


def _list(names: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json(names)
    else:
        for name in names:
            typer.echo(name)


def _serve(
    server: SnmpFleetServer, names: list[str], *, as_json: bool, beat: Callable[[], object] | None = None
) -> None:
    life = Lifecycle([NamedPart("SNMP fleet", server.start, server.stop)])
    try:
        life.start()
    except OSError as error:
        raise StoreUnavailable(
            f"cannot listen on the UDP port: {error.strerror or error}; choose another --port"
        ) from error
    try:
        addresses = {name: f"{server.address_of(i)}:{server.port}" for i, name in enumerate(names)}
        _tell(addresses, as_json=as_json)
        life.wait(beat, 60.0)
    finally:
        life.stop()


def _tell(places: dict[str, str], *, as_json: bool) -> None:
    """Say who is where: as one JSON on stdout, or as lines."""
    if as_json:
        print_json(places)
    else:
        for name, place in places.items():
            typer.echo(f"{place}  {name}")
    notes.print(f"serving {len(places)} printers; stop with Ctrl-C", markup=False)


APPS: Final = {"simulate": app}
