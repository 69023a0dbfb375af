"""Walking several columns at once, with a hard end: used by every engine that can send GETNEXT or GETBULK.

The device is not trusted: a column ends at the first OID that leaves it, does not increase or says end-of-MIB; rows,
requests and seconds are limited; a reply may hold fewer rows than asked (RFC 3416) but never rows of another kind.
"""

from collections.abc import Awaitable, Callable, Sequence

from collector.snmp.engine import Allowance, EngineStatistics, TooBig, Value, acceptable, is_below
from collector.snmp.oids import index_key
from crm_core.domain.errors import DeviceMisbehaved

Rows = list[tuple[str, Value | None]]
#: (next OIDs, repetitions) -> the varbinds of the reply, row by row.
AskNext = Callable[[tuple[str, ...], int], Awaitable[Rows]]

_MAX_COLUMNS_AT_ONCE = 12


class ColumnWalk:
    """One walk over some columns; `found` grows while it runs."""

    def __init__(
        self,
        columns: Sequence[str],
        found: dict[str, Value],
        *,
        max_rows: int,
        per_reply: int,
        stats: EngineStatistics,
    ) -> None:
        self._next = {column: column for column in columns}
        self._found = found
        self._rows_left = max_rows
        self._per_reply = max(1, per_reply)
        self._stats = stats
        self._broken = False

    async def run(self, ask: AskNext, allowance: Allowance) -> None:
        """Walk until every column ended; raises what `ask` raises, and keeps what was found before.

        Raises `DeviceMisbehaved` at the end when rows did not increase.
        """
        while self._next and self._rows_left > 0:
            if allowance.is_spent:
                allowance.take()  # raises with the reason
            columns = tuple(self._next)[: min(_MAX_COLUMNS_AT_ONCE, self._per_reply)]
            asked = tuple(self._next[column] for column in columns)
            try:
                rows = await ask(asked, max(1, self._per_reply // len(columns)))
            except TooBig:
                if self._per_reply == 1:
                    raise
                self._per_reply = max(1, self._per_reply // 2)
                continue
            self._take(columns, rows)
        if self._broken:
            raise DeviceMisbehaved(
                "rows of a table did not come in increasing order: the rest of it was not read"
            )

    def _take(self, columns: tuple[str, ...], rows: Rows) -> None:
        """Sort the varbinds of a reply into their columns; columns that a short reply left out are asked again."""
        if not rows:
            self._stats.reject("count")
            for column in columns:
                self._next.pop(column, None)
        open_columns = set(columns)
        for position, (oid, value) in enumerate(rows):
            column = columns[position % len(columns)]
            if column in open_columns and not self._accept(column, oid, value):
                open_columns.discard(column)
                self._next.pop(column, None)

    def _accept(self, column: str, oid: str, value: Value | None) -> bool:
        """Take one row of a column; False ends the column."""
        if value is None or not is_below(oid, column):
            return False
        last = self._next[column]
        if index_key(oid) <= index_key(last):
            self._stats.reject("order")
            self._broken = True
            return False
        self._next[column] = oid
        if not acceptable(value):
            self._stats.reject("size")
            return True  # the row is left out, the column goes on
        self._found[oid] = value
        self._rows_left -= 1
        return self._rows_left > 0
