"""`drumbeat serve`, `collector`, `analytics` and `api`: the product in one process, or in several."""

from typing import Annotated, Final

import typer

from config.cli.common import notes, session_of
from config.clock import SystemClock
from config.wiring.garbage import settle_garbage_collection
from config.wiring.process import Process, Shape, build_process
from crm_core.domain.service import Role

serve_app, analytics_app, api_app = (typer.Typer(add_completion=False) for _ in range(3))

Host = Annotated[str | None, typer.Option(help="Address to listen on; overrides api.host.")]
Port = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Port of API and pages; overrides api.port; 0 = any free."),
]


@serve_app.command()
def serve(context: typer.Context, host: Host = None, port: Port = None) -> None:
    """Run everything in one process until Ctrl-C or SIGTERM."""
    _run(context, Shape.ALL, host, port)


@analytics_app.command()
def analytics(context: typer.Context) -> None:
    """Forecast, triage and dispatch until Ctrl-C or SIGTERM; of several such processes one leads."""
    _run(context, Shape.ANALYTICS)


@api_app.command()
def api(context: typer.Context, host: Host = None, port: Port = None) -> None:
    """Serve API and pages until Ctrl-C or SIGTERM."""
    _run(context, Shape.API, host, port)


def _run(context: typer.Context, shape: Shape, host: str | None = None, port: int | None = None) -> None:
    settings = session_of(context).settings
    given = {"host": host, "port": port}
    settings = settings.changed(api={key: value for key, value in given.items() if value is not None})
    process = build_process(settings, SystemClock(), shape)
    settle_garbage_collection()
    process.life.start()
    try:
        _greet(process, shape)
        process.life.wait()
    finally:
        process.life.stop()
    notes.print("stopped; nothing is lost", markup=False)


def _greet(process: Process, shape: Shape) -> None:
    """Say where things are, and what a fresh installation needs next."""
    settings = process.core.settings
    if Shape.API in shape:
        notes.print(f"Drumbeat is at {process.address}", markup=False)
        if not _somebody_signs_in(process):
            notes.print("nobody can sign in yet: drumbeat user add NAME --role admin", markup=False)
    if Shape.COLLECTOR in shape:
        port = settings.mqtt.port if process.broker is None else process.broker.port
        where = f", MQTT at {settings.mqtt.host}:{port}" if settings.mqtt.enabled else ""
        notes.print(f"polling every {settings.snmp.poll_interval_seconds} s{where}", markup=False)
    notes.print(f"data in {settings.general.folder}; stop with Ctrl-C", markup=False)


def _somebody_signs_in(process: Process) -> bool:
    with process.core.uow_factory() as uow:
        people = uow.users.all(process.core.tenant)
    return any(user.active and user.role is Role.ADMIN for user in people)


APPS: Final = {"serve": serve_app, "analytics": analytics_app, "api": api_app}
