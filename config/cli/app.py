"""The root of the command line: global options, the list of commands, and one line for each error.

Commands are loaded when they are called, because the scientific libraries take seconds to import.
"""

import getpass
import importlib
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command as click_command

from config.cli.common import Session, version
from crm_core.domain.actors import acting
from crm_core.domain.errors import DrumbeatError

#: Command -> (module of config.cli, what it does). What is not here does not exist.
COMMANDS: Final = {
    "demo": ("demo", "Start the whole product with a simulated fleet and open the browser on it."),
    "serve": ("run", "Run the whole product in one process: collector, analytics, service desk, API."),
    "collector": ("run_collector", "Run only the collector: poll devices, listen to MQTT, land readings."),
    "analytics": ("run", "Run only analytics and triage: forecasts, tickets, work orders."),
    "api": ("run", "Run only the API and the pages."),
    "edge": ("edge", "Poll the printers of one site and push their readings."),
    "jobs": ("jobs", "List the recurring jobs, or run one now."),
    "probe": ("probe", "Read one printer once and show what it says."),
    "discover": ("discover", "Find printers in networks and register them."),
    "customer": ("customer", "Show customers with their classes; classify them."),
    "device": ("device", "Register, list and retire devices."),
    "simulate": ("simulate", "Serve simulated or recorded printers over SNMP and MQTT."),
    "backtest": ("backtest", "Check forecasts against what happened, on history files."),
    "store": ("store", "Show the telemetry store."),
    "mqtt": ("mqtt", "Write what an MQTT broker needs."),
    "migrate": ("migrate", "Create the CRM database or bring it up to date."),
    "user": ("people", "Manage the people who sign in."),
    "token": ("people", "Manage access tokens for programs."),
    "deadletters": ("deadletters", "Show messages that could not be understood."),
    "doctor": ("doctor", "Look over the installation: secrets, backups, accounts, stores, silent devices."),
    "backup": ("backup", "Write everything a firm would miss into one file."),
    "restore": ("backup", "Put a backup back into the data folder."),
    "invoice": ("invoice", "Preview and write invoices, and list them."),
    "audit": ("audit", "Show and verify the audit chain of changes."),
    "keys": ("keys", "List and rotate the keys of personal data."),
    "personal": ("personal", "Export or erase the personal data of a customer; apply retention."),
    "import": ("exchange", "Import customers, contracts, devices or readings from CSV and XLSX."),
    "export": ("exchange", "Export lists as CSV and XLSX, in our names or another system's."),
    "stock": ("stock", "Show what is where, and enter what came, went and was counted."),
    "policy": ("policy", "Show the figures of the business and where they come from."),
    "replay": ("replay", "Say what the past year would have been under another policy."),
    "check-config": ("check", "Check settings, policy, catalogue and texts without starting anything."),
}


class _Commands(TyperGroup):
    """Loads a command's module on first use; the list of commands needs none of them."""

    listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, summary = COMMANDS[cmd_name]
        if self.listing:
            return TyperCommand(cmd_name, help=summary)
        loaded = importlib.import_module(f"config.cli.{module}")
        return click_command(loaded.APPS[cmd_name])

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self.listing = False


root = typer.Typer(
    cls=_Commands,
    name="drumbeat",
    help="Keeps a fleet of rented copiers printing: reads devices, foresees faults, makes work orders.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"drumbeat {version()}")
        raise typer.Exit


@root.callback()
def options(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings file (TOML); see docs/settings.md.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Data folder; overrides general.data_dir.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", help="debug, info, warning or error; overrides log.level.")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Keep the options that all commands share."""
    context.obj = Session(config=config, data=data, log_level=log_level)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    sys.exit(_run(arguments or ["--help"]))


def _run(arguments: list[str]) -> int:
    problems = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        with acting(f"cli:{_who()}"):
            outcome = click_command(root).main(arguments, prog_name="drumbeat", standalone_mode=False)
        return outcome if isinstance(outcome, int) else 0
    except typer.TyperException as error:
        problems.print(f"drumbeat: {_one_line(error.format_message())}", markup=False)
        return error.exit_code
    except DrumbeatError as error:
        problems.print(f"drumbeat: {_one_line(str(error))}", markup=False)
        return 1
    except typer.Exit as leave:
        return leave.exit_code
    except (typer.Abort, KeyboardInterrupt):
        problems.print("drumbeat: interrupted", markup=False)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away: nothing left to say
        return 1


def _who() -> str:
    """Return the operating system's name of who calls, for the audit chain."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        return "unknown"


def _one_line(text: str) -> str:
    return " ".join(text.split())
