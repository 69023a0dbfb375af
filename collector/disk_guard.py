"""A disk that fills up: say so in time, make room by shedding the oldest telemetry, never anything else.

On a full disk SQLite cannot even delete. A ballast file is kept for that moment: it is removed first, then the oldest lines
for InfluxDB and the oldest raw days go, with a count, and their pages inside the file take new readings. Newest states,
roll-ups, events and signals stay. When there is room again the ballast is laid down again.
"""

import logging
import shutil
import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from collector.outbox import Outbox
from collector.stores.reading_codec import EPOCH
from collector.stores.sqlite import SqliteTelemetryStore
from collector.stores.sqlite_schema import day_table, days_present
from crm_core.domain.errors import StoreUnavailable

_log = logging.getLogger(__name__)
READINGS_SHED: Final = "readings_shed"
_KEPT_DAYS: Final = 2
_KEPT_LINE_RECORDS: Final = 1000


@dataclass(slots=True)
class DiskState:
    """What the guard saw last. `full` is the alarm."""

    full: bool = False
    free_bytes: int = 0
    days_shed: int = 0


class DiskGuard:
    """Watches the disk of the telemetry database; call `check` every few seconds.

    Below `low_bytes` free the disk counts as full, until `low_bytes` and the ballast fit again.
    """

    def __init__(
        self,
        store: SqliteTelemetryStore,
        outbox: Outbox,
        *,
        ballast_bytes: int = 16 * 2**20,
        low_bytes: int = 64 * 2**20,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._ballast = store.path.with_name("ballast")
        self._ballast_bytes = ballast_bytes
        self._low = low_bytes
        self.state = DiskState()

    def check(self) -> DiskState:
        """Look at the disk; shed when it is full and the file has no free pages left. Return the state."""
        free = shutil.disk_usage(self._store.path.parent).free
        held = self._ballast.stat().st_size if self._ballast.exists() else 0
        if free + held < self._low + self._ballast_bytes and free < self._low:
            if not self.state.full:
                _log.error(
                    "the disk of %s is full (%d bytes free): shedding the oldest telemetry",
                    self._ballast.parent,
                    free,
                )
            self.state.full = True
            self._ballast.unlink(missing_ok=True)
            self._shed()
        elif free + held >= self._low + self._ballast_bytes:
            if self.state.full:
                _log.warning("the disk of %s has room again (%d bytes free)", self._ballast.parent, free)
            self.state.full = False
            if held < self._ballast_bytes:
                self._lay_ballast()
        self.state.free_bytes = shutil.disk_usage(self._store.path.parent).free
        return self.state

    def _shed(self) -> None:
        """Free pages inside the file: lines first, then raw days, the oldest first, the last two days never."""
        try:
            if self._free_pages_bytes() < self._ballast_bytes:
                self._outbox.shed_lines(_KEPT_LINE_RECORDS)
            while self._free_pages_bytes() < self._ballast_bytes and self._drop_oldest_day():
                self.state.days_shed += 1
        except StoreUnavailable as error:
            _log.error("no room even to shed telemetry: %s", error)

    def _free_pages_bytes(self) -> int:
        with self._store.reading() as db:
            (pages,) = db.execute("PRAGMA freelist_count").fetchone()
            (size,) = db.execute("PRAGMA page_size").fetchone()
        return int(pages) * int(size)

    def _drop_oldest_day(self) -> bool:
        with self._store.reading() as db:
            days = days_present(db)
            if len(days) <= _KEPT_DAYS:
                return False
            (rows,) = db.execute(f"SELECT count(*) FROM {day_table(days[0])}").fetchone()
        self._store.drop_before(EPOCH + timedelta(days=days[0] + 1))

        def count(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO tally (name, count) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET count = count + ?2",
                (READINGS_SHED, rows),
            )

        self._store.transaction(count)
        return True

    def _lay_ballast(self) -> None:
        """Write the ballast for real: a sparse file would hold no room."""
        part = Path(f"{self._ballast}.part")
        try:
            with part.open("wb") as file:
                for _ in range(0, self._ballast_bytes, 2**20):
                    file.write(bytes(min(2**20, self._ballast_bytes)))
            part.replace(self._ballast)
        except OSError as error:
            part.unlink(missing_ok=True)
            _log.warning("no room for the ballast file: %s", error)
