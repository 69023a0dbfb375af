"""The tables of the embedded telemetry database, their migrations, and how a connection to them is opened.

`PRAGMA user_version` counts the applied migrations. Raw readings live in one table a UTC day (`reading_<day number>`,
created when the day begins), so that retention is DROP TABLE.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from collector.stores.sqlite_standing import SCHEMA as STANDING
from crm_core.domain.errors import StoreUnavailable

#: How long a statement waits while another process writes.
WAIT_SECONDS: Final = 10.0

_V1: Final = (
    """CREATE TABLE device (
        id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, device_id TEXT NOT NULL,
        site_id TEXT, customer_id TEXT, region TEXT, model_id TEXT,
        UNIQUE (tenant, device_id))""",
    "CREATE TABLE origin (id INTEGER PRIMARY KEY, source TEXT NOT NULL, site_id TEXT, UNIQUE (source, site_id))",
    """CREATE TABLE boot (
        id INTEGER PRIMARY KEY, device INTEGER NOT NULL, boot_id TEXT NOT NULL,
        received TEXT NOT NULL, touched_ms INTEGER NOT NULL, UNIQUE (device, boot_id))""",
    """CREATE TABLE newest (
        device INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, tie TEXT NOT NULL, day INTEGER NOT NULL,
        row INTEGER NOT NULL, life_count INTEGER, lowest_percent REAL, lowest_index TEXT,
        errors TEXT NOT NULL, worst_severity INTEGER, source TEXT NOT NULL, kept BLOB)""",
    """CREATE TABLE daily (
        device INTEGER NOT NULL, day INTEGER NOT NULL, first_us INTEGER NOT NULL, last_us INTEGER NOT NULL,
        last_tie TEXT NOT NULL, basis TEXT NOT NULL, first_count INTEGER, last_count INTEGER, last_mono INTEGER,
        last_colour INTEGER, pages INTEGER NOT NULL, polls INTEGER NOT NULL, epochs INTEGER NOT NULL,
        supplies BLOB NOT NULL, jams INTEGER NOT NULL,
        PRIMARY KEY (device, day)) WITHOUT ROWID""",
    """CREATE TABLE event (
        device INTEGER NOT NULL, at_us INTEGER NOT NULL, kind TEXT NOT NULL, code TEXT NOT NULL,
        began INTEGER NOT NULL, severity TEXT, text TEXT,
        PRIMARY KEY (device, at_us, kind, code, began)) WITHOUT ROWID""",
    "CREATE INDEX event_time ON event (at_us)",
    """CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, created_ms INTEGER NOT NULL,
        crc INTEGER NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX outbox_topic ON outbox (topic, id)",
    "CREATE TABLE daily_waiting (device INTEGER, day INTEGER, stamp INTEGER, PRIMARY KEY (device, day)) WITHOUT ROWID",
    """CREATE TABLE parked (
        id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, at_ms INTEGER NOT NULL,
        reason TEXT NOT NULL, body BLOB NOT NULL)""",
    """CREATE TABLE dead_letter (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, origin TEXT NOT NULL,
        reason TEXT NOT NULL, body BLOB NOT NULL)""",
    """CREATE TABLE agent (
        tenant TEXT NOT NULL, site_id TEXT NOT NULL, online INTEGER NOT NULL, changed_ms INTEGER NOT NULL,
        version TEXT, PRIMARY KEY (tenant, site_id)) WITHOUT ROWID""",
    "CREATE TABLE tally (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID",
)
_V2: Final = (  # fleet health is one scan of one table
    "ALTER TABLE newest ADD COLUMN tenant TEXT NOT NULL DEFAULT ''",
    "UPDATE newest SET tenant = (SELECT d.tenant FROM device d WHERE d.id = newest.device)",
)
MIGRATIONS: Final[Sequence[Sequence[str]]] = (_V1, _V2, STANDING)

_DAY_TABLE: Final = re.compile(r"^reading_(-?[0-9]+)$")


def day_table(day: int) -> str:
    """Return the name of the table with the readings of a UTC day (days since 1970)."""
    return f'"reading_{day}"'


def create_day(connection: sqlite3.Connection, day: int) -> None:
    """Create the table of one day if it is not there.

    A row holds its content in one of three forms: a frame (ref NULL), a difference to the frame `ref`, or, with a NULL
    body, the same content as the row `ref`: the device was seen and nothing had changed.
    """
    connection.execute(
        f"""CREATE TABLE IF NOT EXISTS {day_table(day)} (
        id INTEGER PRIMARY KEY, device INTEGER NOT NULL, at_ms INTEGER NOT NULL, boot INTEGER NOT NULL,
        seq INTEGER NOT NULL, sub_us INTEGER NOT NULL, origin INTEGER NOT NULL, ref INTEGER, body BLOB)"""
    )
    connection.execute(
        f'CREATE UNIQUE INDEX IF NOT EXISTS "key_{day}" ON {day_table(day)} (device, at_ms, boot, seq)'
    )


def days_present(connection: sqlite3.Connection) -> list[int]:
    """Return the days that have raw readings, in order."""
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'reading\\_%' ESCAPE '\\'"
    )
    found = (_DAY_TABLE.match(name) for (name,) in names)
    return sorted(int(match[1]) for match in found if match)


@contextmanager
def closed_on_failure(connection: sqlite3.Connection) -> Iterator[None]:
    """Close `connection` when what is done within fails: nobody else would."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def connect(path: Path, *, read_only: bool = False, wait_for_disk: bool = True) -> sqlite3.Connection:
    """Open the database in WAL mode; raise `StoreUnavailable` if that cannot be done.

    With `wait_for_disk` a commit outlives a power cut, without it only the end of this process.
    """
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}",
            uri=True, isolation_level=None, check_same_thread=False, timeout=WAIT_SECONDS, cached_statements=512,
        )  # fmt: skip
        with closed_on_failure(connection):
            if not read_only:
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if wait_for_disk else 'NORMAL'}")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute(f"PRAGMA cache_size = -{4096 if read_only else 16384}")
    except (sqlite3.Error, UnicodeDecodeError) as error:  # a torn schema is told in bytes that are no text
        raise StoreUnavailable(
            f"telemetry database {path}: {error}; check the path and the rights to it"
        ) from error
    return connection


def migrate(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> int:
    """Bring the schema up to date, each step in its own transaction; return the version reached.

    Raise `StoreUnavailable` when the file was written by a newer Drumbeat.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _known_version(connection, len(migrations))
        for number, statements in enumerate(migrations[version:], start=version + 1):
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return len(migrations)


def _known_version(connection: sqlite3.Connection, known: int) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > known:
        raise StoreUnavailable(
            f"the telemetry database has schema version {version}, this Drumbeat knows {known}: upgrade Drumbeat"
        )
    return int(version)
