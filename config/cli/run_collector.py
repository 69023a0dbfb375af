"""`drumbeat collector`: apart from the other processes, because it loads in a fraction of their time."""

from typing import Final

import typer

from config.cli.common import notes, session_of
from config.clock import SystemClock
from config.wiring.collector_process import build_collector
from config.wiring.garbage import settle_garbage_collection

app = typer.Typer(add_completion=False)


@app.command()
def collector(context: typer.Context) -> None:
    """Poll devices, listen to MQTT and land readings until Ctrl-C or SIGTERM."""
    settings = session_of(context).settings
    process = build_collector(settings, SystemClock())
    settle_garbage_collection()
    process.life.start()
    try:
        broker = process.side.broker
        port = settings.mqtt.port if broker is None else broker.port
        where = f", MQTT at {settings.mqtt.host}:{port}" if settings.mqtt.enabled else ""
        notes.print(f"polling every {settings.snmp.poll_interval_seconds} s{where}", markup=False)
        notes.print(f"data in {settings.general.folder}; stop with Ctrl-C", markup=False)
        process.life.wait()
    finally:
        process.life.stop()
    notes.print("stopped; nothing is lost", markup=False)


APPS: Final = {"collector": app}
