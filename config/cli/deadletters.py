"""`drumbeat deadletters`: messages that could not be understood, with the reason and their text."""

from dataclasses import asdict
from typing import Annotated, Final

import typer

from collector.dead_letters import DeadLetter
from collector.replay import Replayer
from config.cli.common import JsonFlag, print_json, print_table, session_of
from config.clock import SystemClock
from config.wiring.core import open_core
from config.wiring.telemetry import Telemetry, open_telemetry
from crm_core.domain.errors import NotFound
from crm_core.domain.wire import instant_to_json

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Show messages that could not be understood."
)
Number = Annotated[int, typer.Argument(help="Number of the message, as `deadletters list` shows it.")]


@app.command("list")
def list_letters(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10000, help="At most so many, newest first.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """List refused messages, newest first."""
    telemetry = _telemetry(context)
    try:
        letters = telemetry.dead_letters.list(limit)
    finally:
        telemetry.close()
    if as_json:
        print_json([_as_dict(letter) for letter in letters])
    else:
        rows = ((row.letter_id, instant_to_json(row.at), row.origin, row.reason) for row in letters)
        print_table(("number", "at", "origin", "reason"), rows)


@app.command()
def show(context: typer.Context, number: Number) -> None:
    """Print one refused message as it came."""
    telemetry = _telemetry(context)
    try:
        letter = telemetry.dead_letters.get(number)
    finally:
        telemetry.close()
    if letter is None:
        raise NotFound(f"no dead letter {number}; `drumbeat deadletters list` shows all")
    typer.echo(letter.body.decode("utf-8", "backslashreplace"))


@app.command()
def remove(context: typer.Context, number: Number) -> None:
    """Forget one refused message."""
    telemetry = _telemetry(context)
    try:
        removed = telemetry.dead_letters.remove([number])
    finally:
        telemetry.close()
    if not removed:
        raise NotFound(f"no dead letter {number}; `drumbeat deadletters list` shows all")


@app.command()
def replay(
    context: typer.Context,
    numbers: Annotated[
        list[int], typer.Argument(help="Numbers of the messages, as `deadletters list` shows them.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Send refused messages through once more, after their cause was mended; exit code 1 if one is refused again."""
    core = open_core(session_of(context).settings, SystemClock())
    telemetry = open_telemetry(core)
    try:
        replayer = Replayer(telemetry.dead_letters, telemetry.ingest, telemetry.store, core.clock)
        outcome = replayer.replay(numbers)
    finally:
        telemetry.close()
    if as_json:
        print_json([asdict(one) for one in outcome])
    else:
        print_table(
            ("number", "landed", "reason"), ((one.letter_id, one.landed, one.reason) for one in outcome)
        )
    if not all(one.landed for one in outcome):
        raise typer.Exit(1)


def _telemetry(context: typer.Context) -> Telemetry:
    return open_telemetry(open_core(session_of(context).settings, SystemClock()))


def _as_dict(letter: DeadLetter) -> dict[str, object]:
    return {
        "number": letter.letter_id,
        "at": instant_to_json(letter.at),
        "origin": letter.origin,
        "reason": letter.reason,
        "bytes": len(letter.body),
    }


APPS: Final = {"deadletters": app}
