"""What all commands share: the session with its settings, and how answers are written."""

import importlib.metadata
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from config.logging import configure_logging
from config.settings import Settings, load_settings
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.identity import TenantId

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON on stdout, everything else on stderr.")
]

#: For people: progress, notes and warnings. Never stdout, which belongs to the answer.
notes: Final = Console(stderr=True, highlight=False)


@dataclass(slots=True)
class Session:
    """One call of the command line: where its settings come from; they are read once, when needed."""

    config: Path | None = None
    data: Path | None = None
    log_level: str | None = None
    _settings: Settings | None = field(default=None, repr=False)

    @property
    def settings(self) -> Settings:
        """The settings of this call; raises `InvalidConfiguration`. Logging is set up with them."""
        if self._settings is None:
            settings = load_settings(self.config)
            if self.data is not None:
                settings = settings.changed(general={"data_dir": self.data})
            if self.log_level is not None:
                settings = settings.changed(log={"level": self.log_level})
            configure_logging(settings.log.level, settings.log.format)
            self._settings = settings
        return self._settings

    def prepare(self) -> None:
        """Read the settings for their refusals and set up logging, for commands that need no setting."""
        self.settings  # noqa: B018 - the property does it

    @property
    def tenant(self) -> TenantId:
        return TenantId(self.settings.general.tenant)


def session_of(context: typer.Context) -> Session:
    """Return the session of this call."""
    session = context.find_root().obj
    if not isinstance(session, Session):
        raise InvalidConfiguration("the command line was started without its root")
    return session


def print_json(answer: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Write rows for people to stdout; the first column never breaks."""
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console(highlight=False).print(table)


def version() -> str:
    """Return the installed version, or the one of the checkout when it is not installed."""
    try:
        return importlib.metadata.version("drumbeat")
    except importlib.metadata.PackageNotFoundError:
        return "0.0.0+checkout"
