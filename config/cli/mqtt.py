"""`drumbeat mqtt`: the files that a mosquitto broker needs to know our agents."""

from pathlib import Path
from typing import Annotated, Final

import typer

from collector.mqtt.acl import COLLECTOR, Account, new_password, write_files
from config.cli.common import JsonFlag, print_json, print_table, session_of
from config.clock import SystemClock
from config.wiring.core import open_core

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Write what an MQTT broker needs.")


@app.callback()
def mqtt() -> None:
    """Write what an MQTT broker needs."""


@app.command()
def acl(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where `passwords` and `acl` are written.")],
    renew: Annotated[list[str], typer.Option(help="Sites that get a new password, or `collector`.")] = [],  # noqa: B006 - typer reads it as a default, nobody changes it
    as_json: JsonFlag = False,
) -> None:
    """Write mosquitto's password and access files: one credential a site, which may only speak for that site.

    Passwords are made for users that have none in the folder yet, and shown once.
    """
    session = session_of(context)
    core = open_core(session.settings, SystemClock())
    with core.uow_factory() as uow:
        accounts = [Account(session.tenant, site.site_id) for site in uow.sites.all(session.tenant)]
    names = {COLLECTOR: "collector"} | {account.username: account.site_id for account in accounts}
    kept = _users(folder / "passwords")
    fresh = {name: new_password() for name, short in names.items() if name not in kept or short in renew}
    write_files(folder, accounts, fresh)
    if as_json:
        print_json([{"username": name, "password": secret} for name, secret in fresh.items()])
    else:
        print_table(("username", "password (shown once)"), fresh.items())


def _users(path: Path) -> frozenset[str]:
    if not path.exists():
        return frozenset()
    return frozenset(line.partition(":")[0] for line in path.read_text(encoding="utf-8").splitlines())


APPS: Final = {"mqtt": app}
